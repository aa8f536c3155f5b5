// SPDX-License-Identifier: MIT
#pragma once

// The four layers, put together at run time in each of the 24 orders. What stands directly around the handler is the
// layer itself; the others know it by a function.

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

namespace idempo::tests {

namespace asio = boost::asio;

using message_completion = asio::any_completion_handler<void(http::message_generator)>;

/// What a synchronous session calls.
struct any_sync {
    std::function<http::message_generator(text_request)> alone;
    std::function<http::message_generator(text_request, idempo::execution&)> with_execution;

    http::message_generator operator()(text_request request) const { return alone(std::move(request)); }
    http::message_generator operator()(text_request request, idempo::execution& execution) const {
        return with_execution(std::move(request), execution);
    }
};

/// What the other sessions call.
struct any_async {
    std::function<void(text_request, message_completion)> alone;
    std::function<void(text_request, idempo::execution&, message_completion)> with_execution;

    template <class Token>
    void operator()(text_request request, Token token) const {
        alone(std::move(request), message_completion(std::move(token)));
    }
    template <class Token>
    void operator()(text_request request, idempo::execution& execution, Token token) const {
        with_execution(std::move(request), execution, message_completion(std::move(token)));
    }
};

}  // namespace idempo::tests

template <>
inline constexpr bool idempo::takes_completion_token<idempo::tests::any_async> = true;

namespace idempo::tests {

struct synchronous {
    template <class Handle>
    any_sync operator()(Handle handle) const {
        return {[handle](text_request request) { return http::message_generator(handle(std::move(request))); },
                [handle](text_request request, idempo::execution& execution) {
                    return http::message_generator(handle(std::move(request), execution));
                }};
    }
};

struct asynchronous {
    template <class Handle>
    any_async operator()(Handle handle) const {
        return {
            [handle](text_request request, message_completion done) { handle(std::move(request), std::move(done)); },
            [handle](text_request request, idempo::execution& execution, message_completion done) {
                handle(std::move(request), execution, std::move(done));
            }};
    }
};

/// Answers where its caller waits, later.
struct asked_elsewhere {
    idempo::memory_rate_limiter limiter;

    [[nodiscard]] static asio::any_io_executor get_executor() { return asio::system_executor(); }
    [[nodiscard]] idempo::rate get_rate() const { return limiter.get_rate(); }
    template <class Done>
    void async_take(idempo::store_key const& client, Done done) {
        idempo::error_code error;
        auto const decision = limiter.take(client, error);
        auto const executor = asio::get_associated_executor(done);
        asio::post(executor, asio::append(std::move(done), error, decision));
    }
};

inline std::string const secret(32, 's');

/// Puts the layer that a letter names before a handler: c, h, r, i.
template <class Style, class Handler>
auto put_before(char layer, Style style, Handler const& handler) {
    constexpr idempo::rate enough{.limit = 100000, .window = std::chrono::hours(1)};
    if (layer == 'c') return style(idempo::cors({.origins = {"https://shop.example"}}) | handler);
    if (layer == 'h') return style(idempo::hmac_auth({.secret = secret}) | handler);
    if (layer == 'i') return style(idempo::idempotency(idempo::memory_store()) | handler);
    idempo::rate_limit_options const options{.client = idempo::client::field("Host")};
    idempo::memory_rate_limiter const limiter(enough);
    if constexpr (std::is_same_v<Style, asynchronous>) {
        return style(idempo::rate_limit(asked_elsewhere{limiter}, options) | handler);
    } else {
        return style(idempo::rate_limit(limiter, options) | handler);
    }
}

/// Calls with each order. `innermost(layer)` puts a layer around the handler.
template <class Style, class Innermost, class Visit>
void in_each_order(Style style, Innermost innermost, Visit visit) {
    std::string order = "chir";
    int orders = 0;
    do {
        auto handle = innermost(order.back());
        for (auto layer = order.rbegin() + 1; layer != order.rend(); ++layer)
            handle = put_before(*layer, style, handle);
        visit(order, handle);
        ++orders;
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(orders == 24);
}

inline text_request signed_by_client(text_request request) {
    idempo::detail::hmac_key const key(secret);
    idempo::detail::hmac_sha256 made(key);
    made.update(request.body());
    auto const digest = made.finish();
    request.set("X-Signature", idempo::to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()}));
    return request;
}

/// Signs what it sends by `Call`.
template <class Call>
struct signing_call {
    static constexpr bool rethrows = Call::rethrows;

    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        Call()(told, handle, signed_by_client(std::move(request)));
    }
};

}  // namespace idempo::tests
