// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/redis/options.hpp>
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

namespace redis {
class client;
}

/// The store for services that run on more than one machine: Redis 6.2 or later, or Valkey. `docs/redis.md` says how
/// the server must be configured and what is lost when.
///
/// Models `async_renewable_store`, `async_checkpointing_store`, `async_parking_store` and `remembering_store`;
/// `blocking(store)` serves synchronous servers. A handle: copies share the connections, and any member may be called
/// from any thread. The executor's context must outlive all copies.
///
/// - **Execution.** Operations go over one connection (or `redis_options::connections`) which is made, and made again
///   when it is lost, on `get_executor()`. Completions run as if by post, on the token's associated executor, by
///   default on `get_executor()`.
/// - **Deadlines.** An operation has its result within `operation_timeout`, or `error::store_timed_out`; a claim that
///   timed out may still be executed, and Abandon with its token removes it. Cancellation has no effect.
/// - **Errors.** `error::store_unavailable`: no connection, one lost meanwhile, too many operations, or an error reply
///   of Redis. `error::store_full`: `maxmemory` is reached; records that exist are still found, completed and renewed.
///   `error::record_unreadable`: the value under the key is not ours, or damaged; it is left alone. An operation fails
///   with `boost::system::errc::invalid_argument` where the lease is `no_lease`: it would outlive this process.
/// - **Time** is Redis' alone: the lease is judged by the remaining life of the key. Durations are cut to between zero
///   and 1,000 years, and a record lives for a millisecond at least.
/// - **Order.** Operations of one store key run in the order of their submission, one at a time; in a cluster, as
///   long as its slot does not move.
/// - **Used keys** are remembered by a second key in the same slot, written with the record, with a longer life.
/// - **The end.** When the last copy is gone, pending operations still complete, and the connections close.
class redis_store {
public:
    /// It remembers used keys.
    static constexpr bool remembers_expired = true;

    /// Begins to connect. That the server cannot be reached is no error here.
    /// \throws std::invalid_argument where the options make no sense or the `ca_file` cannot be read
    explicit redis_store(asio::any_io_executor executor, redis_options options = {});

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

    /// Removes what there is under `key`, readable or not; false where there is nothing.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_forget(store_key key, Token&& done) {
        return asio::async_initiate<Token, void(error_code, bool)>(
            [client = client_](auto handler, store_key const& of) { start_forget(*client, of, std::move(handler)); },
            done, key);
    }

    /// A page of the records. It needs the right to SCAN. Of a cluster each primary in turn; while slots
    /// move, records may be left out or be on two pages.
    template <asio::completion_token_for<void(error_code, record_page)> Token>
    auto async_list(list_request request, Token&& done) {
        return asio::async_initiate<Token, void(error_code, record_page)>(
            [client = client_](auto handler, list_request asked) {
                start_list(client, std::move(asked), std::move(handler));
            },
            done, std::move(request));
    }

private:
    template <class... Results>
    using erased_handler = asio::any_completion_handler<void(error_code, Results...)>;

    static void start(redis::client& client, claim_request const& request, erased_handler<claim_result> done);
    static void start(redis::client& client, complete_request request, erased_handler<complete_result> done);
    static void start(redis::client& client, step_request request, erased_handler<bool> done);
    static void start(redis::client& client, park_request request, erased_handler<bool> done);
    static void start(redis::client& client, settle_request request, erased_handler<bool> done);
    static void start_abandon(redis::client& client, store_key const& key, fencing_token const& by,
                              erased_handler<> done);
    static void start_renew(redis::client& client, store_key const& key, fencing_token const& by,
                            std::chrono::milliseconds lease, erased_handler<bool> done);
    static void start_peek(redis::client& client, store_key const& key,
                           erased_handler<std::optional<record_info>> done);
    static void start_forget(redis::client& client, store_key const& key, erased_handler<bool> done);

    static void start_list(std::shared_ptr<redis::client> const& client, list_request request,
                           erased_handler<record_page> done);

    std::shared_ptr<redis::client> client_;
};

}  // namespace idempo
