// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/rate_limiter.hpp>

#include <idempo/redis/discovery/client.hpp>
#include <idempo/redis/operations/take_operation.hpp>

#include <future>

namespace idempo {

redis_rate_limiter::redis_rate_limiter(asio::any_io_executor executor, redis_options options, rate rate) : rate_(rate) {
    validate(rate_);
    client_ = std::make_shared<redis::client>(std::move(executor), std::move(options));
}

asio::any_io_executor redis_rate_limiter::get_executor() const { return client_->executor(); }

rate_decision redis_rate_limiter::take(store_key const& client, error_code& error) {
    struct answer {
        error_code error;
        rate_decision decision;
    };
    std::promise<answer> promise;
    auto future = promise.get_future();
    async_take(client, [promise = std::move(promise)](error_code code, rate_decision decision) mutable {
        promise.set_value({code, decision});
    });
    try {
        auto const [code, decision] = future.get();
        error = code;
        return decision;
    } catch (std::future_error const&) {  // the executor has ended
        error = error::store_unavailable;
        return {};
    }
}

void redis_rate_limiter::start(redis::client& connections, store_key const& client, rate const& rate,
                               asio::any_completion_handler<void(error_code, rate_decision)> done) {
    connections.submit(std::make_unique<redis::take_operation>(client, rate, connections.prefix(),
                                                               connections.executor(), std::move(done)));
}

}  // namespace idempo
