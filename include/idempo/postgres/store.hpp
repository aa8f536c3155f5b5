// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/postgres/options.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace idempo {

namespace asio = boost::asio;

namespace postgres {
class client;
}

/// The store for services that have a PostgreSQL (12 or later): durable claims without another server to run.
/// `migrate` makes its table; `docs/postgres.md` says how the server should be configured and what is lost when.
///
/// Models `async_renewable_store`, `async_checkpointing_store`, `async_parking_store` and `remembering_store`, from
/// migration 3 on; `blocking(store)` serves synchronous servers. A handle: copies share the
/// connections, and any member may be called from any thread. The executor's context must outlive all copies.
///
/// - **Execution.** Statements run on `postgres_options::workers` threads of the store's own, and one more keeps the
///   deadlines. Operations that are pending together share statements, and so their commits. Completions run as if by
///   post, on the token's associated executor, by default on `get_executor()`.
/// - **Deadlines.** An operation has its result within `operation_timeout`, or `error::store_timed_out`; a claim that
///   timed out may still be executed, and Abandon with its token removes it. Cancellation has no effect.
/// - **Errors.** `error::store_unavailable`: no connection, one lost twice, too many operations, a row that another
///   session keeps locked, a read-only server, or another error of PostgreSQL; the observer is told which.
///   `error::store_full`: its disk is full. An operation fails with `boost::system::errc::invalid_argument` where the
///   lease is `no_lease`: it would outlive this process.
/// - **Time** is the server's `clock_timestamp()` alone. Durations are cut to between zero and 1,000 years.
/// - **Durability.** Each operation is committed with `synchronous_commit = on` and read committed, whatever the
///   defaults are, before it is answered. It leaves nothing in the session: pgbouncer may pool transactions.
/// - **Order.** Operations of one store key run in the order of their submission, one at a time.
/// - **The end.** When the last copy is gone, pending operations still complete, and then the threads end. They belong
///   to the executor's context, whose destructor ends what they do, and joins them.
class postgres_store {
public:
    /// It remembers used keys.
    static constexpr bool remembers_expired = true;

    /// Begins to connect. That the server cannot be reached is no error here.
    /// \throws std::invalid_argument where the options make no sense
    explicit postgres_store(asio::any_io_executor executor, postgres_options options = {});

    [[nodiscard]] asio::any_io_executor get_executor() const;

    template <asio::completion_token_for<void(error_code, claim_result)> Token>
    auto async_claim(claim_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, claim_result)>(
            [client = client_](auto handler, claim_request const& claim) { start(*client, claim, std::move(handler)); },
            done, request);
    }

    template <asio::completion_token_for<void(error_code, complete_result)> Token>
    auto async_complete(complete_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, complete_result)>(
            [client = client_](auto handler, complete_request complete) {
                start(*client, std::move(complete), std::move(handler));
            },
            done, std::move(request));
    }

    template <asio::completion_token_for<void(error_code)> Token>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return asio::async_initiate<Token, void(error_code)>(
            [client = client_](auto handler, store_key const& of, idempo::fencing_token const& from) {
                start_abandon(*client, of, from, std::move(handler));
            },
            done, key, by);
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, store_key const& of, idempo::fencing_token const& from,
                               std::chrono::milliseconds length) {
                start_renew(*client, of, from, length, std::move(handler));
            },
            done, key, by, lease);
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_save_step(step_request step, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, step_request saved) {
                start(*client, std::move(saved), std::move(handler));
            },
            done, std::move(step));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_park(park_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, park_request park) {
                start(*client, std::move(park), std::move(handler));
            },
            done, std::move(request));
    }

    /// False also where the record was settled and the answer was lost.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_settle(settle_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, settle_request settle) {
                start(*client, std::move(settle), std::move(handler));
            },
            done, std::move(request));
    }

    /// What there is under `key`; empty where there is no unexpired record.
    template <asio::completion_token_for<void(error_code, std::optional<record_info>)> Token>
    auto async_peek(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, std::optional<record_info>)>(
            [client = client_](auto handler, store_key const& of) { start_peek(*client, of, std::move(handler)); },
            done, key);
    }

    /// Removes what there is under `key`; false where there is nothing, or where it was removed and the answer was
    /// lost.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_forget(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, store_key const& of) { start_forget(*client, of, std::move(handler)); },
            done, key);
    }

    /// A page of the records. It reads the rows in the order of their keys, by the primary key's index.
    template <asio::completion_token_for<void(error_code, record_page)> Token>
    auto async_list(list_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, record_page)>(
            [client = client_](auto handler, list_request asked) { start_list(*client, asked, std::move(handler)); },
            done, std::move(request));
    }

private:
    template <class... Results>
    using erased_handler = asio::any_completion_handler<void(error_code, Results...)>;

    static void start(postgres::client& client, claim_request const& request, erased_handler<claim_result> done);
    static void start(postgres::client& client, complete_request request, erased_handler<complete_result> done);
    static void start(postgres::client& client, step_request request, erased_handler<bool> done);
    static void start(postgres::client& client, park_request request, erased_handler<bool> done);
    static void start(postgres::client& client, settle_request request, erased_handler<bool> done);
    static void start_abandon(postgres::client& client, store_key const& key, fencing_token const& by,
                              erased_handler<> done);
    static void start_renew(postgres::client& client, store_key const& key, fencing_token const& by,
                            std::chrono::milliseconds lease, erased_handler<bool> done);
    static void start_peek(postgres::client& client, store_key const& key,
                           erased_handler<std::optional<record_info>> done);
    static void start_forget(postgres::client& client, store_key const& key, erased_handler<bool> done);

    static void start_list(postgres::client& client, list_request const& request, erased_handler<record_page> done);

    std::shared_ptr<postgres::client> client_;
};

}  // namespace idempo
