// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/store.hpp>

#include <idempo/redis/discovery/client.hpp>
#include <idempo/redis/operations/listing.hpp>
#include <idempo/redis/operations/operations.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace idempo {

redis_store::redis_store(asio::any_io_executor executor, redis_options options)
    : client_(std::make_shared<redis::client>(std::move(executor), std::move(options))) {}

asio::any_io_executor redis_store::get_executor() const { return client_->executor(); }

void redis_store::start(redis::client& client, claim_request const& request, erased_handler<claim_result> done) {
    if (request.lease == no_lease) {
        return asio::post(client.executor(), asio::append(std::move(done), detail::no_lease_refused(), claim_result()));
    }
    client.submit(
        std::make_unique<redis::claim_operation>(request, client.prefix(), client.executor(), std::move(done)));
}

void redis_store::start(redis::client& client, complete_request request, erased_handler<complete_result> done) {
    client.submit(std::make_unique<redis::complete_operation>(std::move(request), client.prefix(), client.executor(),
                                                              std::move(done)));
}

void redis_store::start(redis::client& client, step_request request, erased_handler<bool> done) {
    client.submit(std::make_unique<redis::save_step_operation>(std::move(request), client.prefix(), client.executor(),
                                                               std::move(done)));
}

void redis_store::start(redis::client& client, park_request request, erased_handler<bool> done) {
    client.submit(std::make_unique<redis::park_operation>(std::move(request), client.prefix(), client.executor(),
                                                          std::move(done)));
}

void redis_store::start(redis::client& client, settle_request request, erased_handler<bool> done) {
    client.submit(std::make_unique<redis::settle_operation>(std::move(request), client.prefix(), client.executor(),
                                                            std::move(done)));
}

void redis_store::start_abandon(redis::client& client, store_key const& key, fencing_token const& by,
                                erased_handler<> done) {
    client.submit(
        std::make_unique<redis::abandon_operation>(key, by, client.prefix(), client.executor(), std::move(done)));
}

void redis_store::start_renew(redis::client& client, store_key const& key, fencing_token const& by,
                              std::chrono::milliseconds lease, erased_handler<bool> done) {
    if (lease == no_lease)
        return asio::post(client.executor(), asio::append(std::move(done), detail::no_lease_refused(), false));
    client.submit(
        std::make_unique<redis::renew_operation>(key, by, lease, client.prefix(), client.executor(), std::move(done)));
}

void redis_store::start_peek(redis::client& client, store_key const& key,
                             erased_handler<std::optional<record_info>> done) {
    client.submit(std::make_unique<redis::peek_operation>(key, client.prefix(), client.executor(), std::move(done)));
}

void redis_store::start_forget(redis::client& client, store_key const& key, erased_handler<bool> done) {
    client.submit(std::make_unique<redis::forget_operation>(key, client.prefix(), client.executor(), std::move(done)));
}

void redis_store::start_list(std::shared_ptr<redis::client> const& client, list_request request,
                             erased_handler<record_page> done) {
    std::make_shared<redis::listing>(client, std::move(request), std::move(done))->start();
}

}  // namespace idempo
