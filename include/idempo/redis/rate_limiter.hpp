// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/layers/rate.hpp>
#include <idempo/redis/options.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <memory>
#include <utility>

namespace idempo {

namespace asio = boost::asio;

namespace redis {
class client;
}

/// Counts the requests of all processes that use one Redis (6.2 or later, or Valkey). Models `rate_limiter` and
/// `async_rate_limiter`.
///
/// A handle: copies share the connection, which is one of its own, and any member may be called from any thread. The
/// executor's context must outlive all copies, and some thread must run it. Connections, deadlines, errors and the end
/// are as `redis_store` has them.
///
/// A window is a key, `idempo:rate:` and 64 digits of the client's digest, that always has an expiry: it is set by the
/// command that makes the key, and a window that is found without one begins anew. Processes that share windows must
/// have one rate. Redis' clock alone decides.
///
/// A server may lose windows: after a restart or a failover clients have a new one. One that is told to evict is
/// refused unless `redis_options::allow_eviction`, which is harmless here but not for a store on the same server.
class redis_rate_limiter {
public:
    /// Begins to connect. That the server cannot be reached is no error here.
    /// \throws std::invalid_argument where options or rate make no sense, or the `ca_file` cannot be read
    redis_rate_limiter(asio::any_io_executor executor, redis_options options, rate rate);

    [[nodiscard]] asio::any_io_executor get_executor() const;

    [[nodiscard]] rate get_rate() const noexcept { return rate_; }

    template <asio::completion_token_for<void(error_code, rate_decision)> Token>
    auto async_take(store_key client, Token&& done) {
        return asio::async_initiate<Token, void(error_code, rate_decision)>(
            [connections = client_, rate = rate_](auto handler, store_key const& of) {
                start(*connections, of, rate, std::move(handler));
            },
            done, client);
    }

    /// Blocks until the answer is there, for synchronous servers. Must not be called on a thread that the executor
    /// needs to make progress.
    [[nodiscard]] rate_decision take(store_key const& client, error_code& error);

private:
    static void start(redis::client& connections, store_key const& client, rate const& rate,
                      asio::any_completion_handler<void(error_code, rate_decision)> done);

    std::shared_ptr<redis::client> client_;
    rate rate_;
};

}  // namespace idempo
