// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace idempo::tests {

namespace asio = boost::asio;

/// A synchronous store as an asynchronous one, without threads: each call takes two turns of the executor, one until it
/// is applied and one until its completion. So a test that runs an `io_context` turn by turn sees every suspension.
template <store Inner>
class posted_store {
public:
    posted_store(Inner inner, asio::any_io_executor executor)
        : inner_(std::move(inner)),
          executor_(std::move(executor)) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return executor_; }

    template <class Token>
    auto async_claim(claim_request request, Token&& token) {
        return submit<claim_result>([request](Inner& inner, error_code& error) { return inner.claim(request, error); },
                                    std::forward<Token>(token));
    }

    template <class Token>
    auto async_complete(complete_request request, Token&& token) {
        return submit<complete_result>(
            [request](Inner& inner, error_code& error) { return inner.complete(request, error); },
            std::forward<Token>(token));
    }

    template <class Token>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& token) {
        return submit<bool>([=](Inner& inner, error_code& error) { return inner.renew(key, by, lease, error); },
                            std::forward<Token>(token));
    }

    template <class Token>
    auto async_save_step(step_request step, Token&& token)
        requires checkpointing_store<Inner>
    {
        return submit<bool>([step](Inner& inner, error_code& error) { return inner.save_step(step, error); },
                            std::forward<Token>(token));
    }

    template <class Token>
    auto async_park(park_request request, Token&& token)
        requires parking_store<Inner>
    {
        return submit<bool>([request](Inner& inner, error_code& error) { return inner.park(request, error); },
                            std::forward<Token>(token));
    }

    template <class Token>
    auto async_settle(settle_request request, Token&& token)
        requires parking_store<Inner>
    {
        return submit<bool>([request](Inner& inner, error_code& error) { return inner.settle(request, error); },
                            std::forward<Token>(token));
    }

    template <class Token>
    auto async_peek(store_key key, Token&& token)
        requires inspectable_store<Inner>
    {
        return submit<std::optional<record_info>>(
            [key](Inner& inner, error_code& error) { return inner.peek(key, error); }, std::forward<Token>(token));
    }

    template <class Token>
    auto async_forget(store_key key, Token&& token)
        requires inspectable_store<Inner>
    {
        return submit<bool>([key](Inner& inner, error_code& error) { return inner.forget(key, error); },
                            std::forward<Token>(token));
    }

    template <class Token>
    auto async_abandon(store_key key, fencing_token by, Token&& token) {
        return asio::async_initiate<Token, void(error_code)>(
            [inner = inner_, executor = executor_, key, by](auto handler) {
                asio::post(executor, [inner, executor, key, by, handler = std::move(handler)]() mutable {
                    error_code error;
                    inner.abandon(key, by, error);
                    asio::post(executor, asio::append(std::move(handler), error));
                });
            },
            token);
    }

private:
    template <class Result, class Call, class Token>
    auto submit(Call call, Token&& token) {
        return asio::async_initiate<Token, void(error_code, Result)>(
            [inner = inner_, executor = executor_, call](auto handler) {
                asio::post(executor, [inner, executor, call, handler = std::move(handler)]() mutable {
                    error_code error;
                    auto result = call(inner, error);
                    asio::post(executor, asio::append(std::move(handler), error, std::move(result)));
                });
            },
            token);
    }

    Inner inner_;
    asio::any_io_executor executor_;
};

}  // namespace idempo::tests
