// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/store.hpp>

#include <idempo/postgres/queue/called_operation.hpp>
#include <idempo/postgres/queue/client.hpp>
#include <idempo/postgres/queue/page_walk.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <utility>
#include <variant>

namespace idempo {

namespace {

using postgres::operation_kind;

template <class Result, class Handler>
void submit(postgres::client& client, postgres::request asked, Handler done) {
    client.submit(
        std::make_shared<postgres::called_operation<Result>>(std::move(asked), client.executor(), std::move(done)));
}

operation_kind kind_of(claim_request const& request) {
    bool const remembers = request.remember > std::chrono::milliseconds::zero();
    if (!request.take_over) {
        return remembers ? operation_kind::claim_without_takeover_remembering : operation_kind::claim_without_takeover;
    }
    if (request.take_parked) {
        return remembers ? operation_kind::claim_parked_remembering : operation_kind::claim_parked;
    }
    return remembers ? operation_kind::claim_remembering : operation_kind::claim;
}

}  // namespace

postgres_store::postgres_store(asio::any_io_executor executor, postgres_options options)
    : client_(std::make_shared<postgres::client>(executor, std::move(options))) {}

asio::any_io_executor postgres_store::get_executor() const { return client_->executor(); }

void postgres_store::start(postgres::client& client, claim_request const& request, erased_handler<claim_result> done) {
    if (request.lease == no_lease) {
        return asio::post(client.executor(), asio::append(std::move(done), detail::no_lease_refused(), claim_result()));
    }
    postgres::request asked{kind_of(request),  request.key, request.fencing_token, request.fingerprint, request.lease,
                            request.retention, {}};
    asked.remember = request.remember;
    submit<claim_result>(client, std::move(asked), std::move(done));
}

void postgres_store::start(postgres::client& client, complete_request request, erased_handler<complete_result> done) {
    postgres::request asked{operation_kind::complete, request.key, request.fencing_token,
                            request.fingerprint,      {},          request.retention,
                            std::move(request.record)};
    asked.remember = request.remember;
    submit<complete_result>(client, std::move(asked), std::move(done));
}

void postgres_store::start(postgres::client& client, step_request request, erased_handler<bool> done) {
    postgres::request asked{operation_kind::save_step, request.key, request.fencing_token, {}, {}, {},
                            std::move(request.step)};
    asked.number = static_cast<std::int64_t>(request.offset);
    submit<bool>(client, std::move(asked), std::move(done));
}

void postgres_store::start(postgres::client& client, park_request request, erased_handler<bool> done) {
    postgres::request asked{operation_kind::park,     request.key, request.fencing_token,
                            request.fingerprint,      {},          request.retention,
                            std::move(request.reason)};
    asked.remember = request.remember;
    submit<bool>(client, std::move(asked), std::move(done));
}

void postgres_store::start(postgres::client& client, settle_request request, erased_handler<bool> done) {
    postgres::request asked{request.record ? operation_kind::settle : operation_kind::free, request.key};
    asked.retention = request.retention;
    asked.number = request.attempt;
    if (request.record) asked.record = *std::move(request.record);
    submit<bool>(client, std::move(asked), std::move(done));
}

void postgres_store::start_abandon(postgres::client& client, store_key const& key, fencing_token const& by,
                                   erased_handler<> done) {
    submit<std::monostate>(client, {operation_kind::abandon, key, by}, std::move(done));
}

void postgres_store::start_renew(postgres::client& client, store_key const& key, fencing_token const& by,
                                 std::chrono::milliseconds lease, erased_handler<bool> done) {
    if (lease == no_lease)
        return asio::post(client.executor(), asio::append(std::move(done), detail::no_lease_refused(), false));
    submit<bool>(client, {operation_kind::renew, key, by, {}, lease}, std::move(done));
}

void postgres_store::start_peek(postgres::client& client, store_key const& key,
                                erased_handler<std::optional<record_info>> done) {
    submit<std::optional<record_info>>(client, {operation_kind::peek, key}, std::move(done));
}

void postgres_store::start_forget(postgres::client& client, store_key const& key, erased_handler<bool> done) {
    submit<bool>(client, {operation_kind::forget, key}, std::move(done));
}

void postgres_store::start_list(postgres::client& client, list_request const& request,
                                erased_handler<record_page> done) {
    postgres::request asked;
    asked.kind = operation_kind::list;
    asked.number = static_cast<std::int64_t>(detail::bounded_page(request.limit));
    asked.wanted = request;
    asked.page = postgres::read_page_cursor(request.after);
    if (request.after.empty() && request.digits.empty()) asked.page = 0;
    if (!asked.page) {
        auto first = request.digits;
        first.resize(2 * sizeof(store_key), '0');
        auto const after = detail::key_from_hex(request.after.empty() ? first : request.after);
        if (!after) {
            return asio::post(client.executor(),
                              asio::append(std::move(done), detail::cursor_refused(), record_page()));
        }
        asked.key = *after;
    }
    submit<record_page>(client, std::move(asked), std::move(done));
}

}  // namespace idempo
