// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <memory>
#include <utility>

/// \file
/// A store as a process sees it that may die.

namespace idempo::testing {

namespace asio = boost::asio;

/// A memory store that outlives the process using it. What a dead process does to it has no effect, though it is told
/// that all went well. It is no `nonblocking_store`, so that claims have leases, as in a store of several processes.
class process_store {
public:
    static constexpr bool remembers_expired = true;

    process_store(memory_store inner, std::shared_ptr<bool const> is_dead)
        : inner_(std::move(inner)),
          is_dead_(std::move(is_dead)) {}

    [[nodiscard]] claim_result claim(claim_request const& request, error_code& error) {
        return alive<claim_result>(error, in_flight{}, [&] { return inner_.claim(request, error); });
    }
    [[nodiscard]] complete_result complete(complete_request const& request, error_code& error) {
        return alive<complete_result>(error, done{}, [&] { return inner_.complete(request, error); });
    }
    void abandon(store_key const& key, fencing_token const& by, error_code& error) {
        alive<bool>(error, true, [&] {
            inner_.abandon(key, by, error);
            return true;
        });
    }
    [[nodiscard]] bool save_step(step_request const& step, error_code& error) {
        return alive<bool>(error, true, [&] { return inner_.save_step(step, error); });
    }
    [[nodiscard]] bool park(park_request const& request, error_code& error) {
        return alive<bool>(error, true, [&] { return inner_.park(request, error); });
    }
    [[nodiscard]] bool settle(settle_request const& request, error_code& error) {
        return alive<bool>(error, true, [&] { return inner_.settle(request, error); });
    }

private:
    template <class Result, class Call>
    Result alive(error_code& error, Result otherwise, Call call) {
        error.clear();
        return *is_dead_ ? otherwise : call();
    }

    memory_store inner_;
    std::shared_ptr<bool const> is_dead_;
};

/// The same as an asynchronous store, for handlers that are. Everything runs on one executor.
class posted_process_store {
public:
    static constexpr bool remembers_expired = true;

    posted_process_store(process_store inner, asio::any_io_executor where)
        : inner_(std::move(inner)),
          where_(std::move(where)) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return where_; }

    template <class Token>
    auto async_claim(claim_request request, Token&& done) {
        return post<claim_result>([request](auto& inner, error_code& error) { return inner.claim(request, error); },
                                  std::forward<Token>(done));
    }
    template <class Token>
    auto async_complete(complete_request request, Token&& done) {
        return post<complete_result>(
            [request = std::move(request)](auto& inner, error_code& error) { return inner.complete(request, error); },
            std::forward<Token>(done));
    }
    template <class Token>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return asio::async_initiate<Token, void(error_code)>(
            [inner = inner_, where = where_, key, by](auto handler) mutable {
                auto const executor = asio::get_associated_executor(handler, where);
                asio::post(executor,
                           asio::bind_executor(executor, [inner, key, by, handler = std::move(handler)]() mutable {
                               error_code error;
                               inner.abandon(key, by, error);
                               std::move(handler)(error);
                           }));
            },
            done);
    }
    template <class Token>
    auto async_save_step(step_request step, Token&& done) {
        return post<bool>(
            [step = std::move(step)](auto& inner, error_code& error) { return inner.save_step(step, error); },
            std::forward<Token>(done));
    }
    template <class Token>
    auto async_park(park_request request, Token&& done) {
        return post<bool>(
            [request = std::move(request)](auto& inner, error_code& error) { return inner.park(request, error); },
            std::forward<Token>(done));
    }
    template <class Token>
    auto async_settle(settle_request request, Token&& done) {
        return post<bool>(
            [request = std::move(request)](auto& inner, error_code& error) { return inner.settle(request, error); },
            std::forward<Token>(done));
    }

private:
    template <class Result, class Call, class Token>
    auto post(Call call, Token&& done) {
        return asio::async_initiate<Token, void(error_code, Result)>(
            [inner = inner_, where = where_](auto handler, Call made) mutable {
                auto const executor = asio::get_associated_executor(handler, where);
                asio::post(executor, asio::bind_executor(executor, [inner, made = std::move(made),
                                                                    handler = std::move(handler)]() mutable {
                               error_code error;
                               Result result = made(inner, error);
                               std::move(handler)(error, std::move(result));
                           }));
            },
            done, std::move(call));
    }

    process_store inner_;
    asio::any_io_executor where_;
};

}  // namespace idempo::testing
