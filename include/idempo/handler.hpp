// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <concepts>
#include <type_traits>
#include <utility>
#include <variant>

namespace idempo {

namespace http = boost::beast::http;
namespace asio = boost::asio;

/// `idempo/execution.hpp` has it, for handlers that take one.
class execution;

namespace detail {

template <class T>
inline constexpr bool is_request = false;
template <class Body, class Fields>
inline constexpr bool is_request<http::request<Body, Fields>> = true;

template <class T>
struct awaited {};
template <class T, class Executor>
struct awaited<asio::awaitable<T, Executor>> {
    using type = T;
    using executor_type = Executor;
};

template <class Handler, class... Arguments>
struct handler_result {};
template <class Handler, class Request>
    requires std::invocable<Handler&, Request, execution&>
struct handler_result<Handler, Request> : std::invoke_result<Handler&, Request, execution&> {};
template <class Handler, class Request>
    requires(!std::invocable<Handler&, Request, execution&> && std::invocable<Handler&, Request>)
struct handler_result<Handler, Request> : std::invoke_result<Handler&, Request> {};

/// What `invoke_handler` returns.
template <class Handler, class Request>
using handler_result_t = typename handler_result<Handler, Request>::type;

}  // namespace detail

/// A `http::request<Body, Fields>`, by whatever reference.
template <class T>
concept request = detail::is_request<std::remove_cvref_t<T>>;

/// Anything a session can send: `http::response<Body, Fields>` or `http::message_generator`.
template <class T>
concept reply = std::convertible_to<T, http::message_generator>;

/// Answers by returning. The usual Beast `handle_request`. May take `execution&` as its second parameter.
template <class Handler, class Request>
concept sync_handler = reply<detail::handler_result_t<Handler, Request>>;

/// Answers from a coroutine: returns `asio::awaitable<reply>`, or `asio::awaitable<reply, Executor>` where the token of
/// the call is bound to an executor of that very type. May take `execution&` as its second parameter.
template <class Handler, class Request>
concept awaitable_handler = reply<typename detail::awaited<detail::handler_result_t<Handler, Request>>::type>;

/// Marks a handler that itself takes a completion token with the signature `void(http::message_generator)`:
/// `handler(request, token)` or `handler(request, execution, token)`. Where it fails later than its call, it completes
/// with a `std::exception_ptr` instead of a message, as if it had thrown. A completion that is called with a
/// `response<string_body>` itself costs less than with a `message_generator`, which is serialised and parsed to be
/// stored. Nothing else is ever called with a token, since a generic lambda would seem to take one.
template <class Handler>
struct async_handler_t {
    Handler handler;
};

template <class Handler>
async_handler_t<std::decay_t<Handler>> async_handler(Handler&& handler) {
    return {std::forward<Handler>(handler)};
}

/// Whether a type takes a completion token. Specialise it for a layer of your own.
template <class Handler>
inline constexpr bool takes_completion_token = false;
template <class Handler>
inline constexpr bool takes_completion_token<async_handler_t<Handler>> = true;

/// Any of the three.
template <class Handler, class Request>
concept handler =
    takes_completion_token<Handler> || awaitable_handler<Handler, Request> || sync_handler<Handler, Request>;

namespace detail {

/// Calls with the execution where the handler takes one. Layers pass on theirs by this.
template <class Handler, class Request>
decltype(auto) invoke_handler(Handler& handler, Request&& request, execution& execution) {
    if constexpr (std::invocable<Handler&, Request, idempo::execution&>) {
        return handler(std::forward<Request>(request), execution);
    } else {
        return handler(std::forward<Request>(request));
    }
}

template <class Handler, class Request, class Token>
void invoke_async_handler(Handler& handler, Request&& request, execution& execution, Token&& token) {
    if constexpr (requires { handler.handler; }) {
        invoke_async_handler(handler.handler, std::forward<Request>(request), execution, std::forward<Token>(token));
    } else if constexpr (std::invocable<Handler&, Request, idempo::execution&, Token>) {
        handler(std::forward<Request>(request), execution, std::forward<Token>(token));
    } else {
        handler(std::forward<Request>(request), std::forward<Token>(token));
    }
}

/// What a handler has completed its token with. A response in memory stays what it is.
struct completed_reply {
    std::variant<http::response<http::string_body>, http::message_generator> reply;
};

/// Whether the handler has answered when its call returns.
template <class Handler, class Request>
inline constexpr bool runs_at_once = !takes_completion_token<Handler> && !awaitable_handler<Handler, Request>;

/// The handler's own reply type where a replay can be one, else a message_generator. Convertible, not constructible:
/// the explicit slicing constructor of `response<file_body>` would drop the body.
template <class Reply>
using reply_for = std::conditional_t<std::convertible_to<http::response<http::string_body>, std::remove_cvref_t<Reply>>,
                                     std::remove_cvref_t<Reply>, http::message_generator>;

}  // namespace detail

}  // namespace idempo
