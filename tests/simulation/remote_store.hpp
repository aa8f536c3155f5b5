// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace idempo::simulation {

namespace asio = boost::asio;

using answer_handler = asio::any_completion_handler<void(store_answer)>;

/// One process's client of the store: it sends calls and gives up on them in time.
class store_client {
public:
    store_client() = default;
    store_client(store_client const&) = delete;
    store_client& operator=(store_client const&) = delete;
    virtual ~store_client() = default;

    virtual void send(store_call call, answer_handler done) = 0;
    [[nodiscard]] virtual asio::any_io_executor executor() const = 0;
};

/// The store as the middleware sees it: `async_store` with everything that a store may offer.
class remote_store {
public:
    static constexpr bool remembers_expired = true;

    explicit remote_store(std::shared_ptr<store_client> client) : client_(std::move(client)) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return client_->executor(); }

    template <class Token>
    auto async_claim(claim_request request, Token&& done) {
        return start<claim_result>(std::move(request), std::forward<Token>(done));
    }
    template <class Token>
    auto async_complete(complete_request request, Token&& done) {
        return start<complete_result>(std::move(request), std::forward<Token>(done));
    }
    template <class Token>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done) {
        return start<bool>(renew_request{key, by, lease}, std::forward<Token>(done));
    }
    template <class Token>
    auto async_save_step(step_request request, Token&& done) {
        return start<bool>(std::move(request), std::forward<Token>(done));
    }
    template <class Token>
    auto async_park(park_request request, Token&& done) {
        return start<bool>(std::move(request), std::forward<Token>(done));
    }
    template <class Token>
    auto async_settle(settle_request request, Token&& done) {
        return start<bool>(std::move(request), std::forward<Token>(done));
    }
    template <class Token>
    auto async_peek(store_key key, Token&& done) {
        return start<std::optional<record_info>>(peek_request{key}, std::forward<Token>(done));
    }
    template <class Token>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return asio::async_initiate<Token, void(error_code)>(
            [client = client_](auto handler, abandon_request request) {
                auto const where = client->executor();
                client->send(request, [handler = std::move(handler), where](store_answer answer) mutable {
                    asio::post(where, asio::append(std::move(handler), answer.error));
                });
            },
            done, abandon_request{key, by});
    }

private:
    template <class Result, class Token>
    auto start(store_call call, Token&& done) {
        return asio::async_initiate<Token, void(error_code, Result)>(
            [client = client_](auto handler, store_call request) {
                auto const where = client->executor();
                client->send(std::move(request), [handler = std::move(handler), where](store_answer answer) mutable {
                    auto* const result = std::get_if<Result>(&answer.result);
                    auto const error = answer.error;
                    asio::post(where, asio::append(std::move(handler), error,
                                                   result == nullptr ? Result{} : std::move(*result)));
                });
            },
            done, std::move(call));
    }

    std::shared_ptr<store_client> client_;
};

}  // namespace idempo::simulation
