// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/store.hpp>

#include <boost/beast/http/message_generator.hpp>

#include <concepts>
#include <type_traits>

/// \file
/// Calls that cannot work are refused with one sentence each. The call operators for them are only declared to return
/// `misuse`, which no handler may, so that asking whether a layer can be called is no error: `sync_handler` says no.

namespace idempo::detail {

struct misuse {};

template <class Handler, class Request>
inline constexpr bool forgets_async_handler =
    !takes_completion_token<Handler> && !handler<Handler, Request> &&
    (std::invocable<Handler&, Request, handler_archetype<http::message_generator>> ||
     std::invocable<Handler&, Request, execution&, handler_archetype<http::message_generator>>);

/// Of `(request, token)`.
template <class Handler, class Request>
constexpr void explain_token_call() {
    static_assert(!forgets_async_handler<Handler, Request>,
                  "idempo: this handler takes a completion token: mark it with idempo::async_handler(handler)");
    static_assert(forgets_async_handler<Handler, Request> || handler<Handler, Request>,
                  "idempo: a handler has to take (request), or (request, idempo::execution&), and to return an "
                  "http::response, an http::message_generator, or an asio::awaitable of one of them");
}

/// Of `(request)`.
template <class Handler, class Store, class Request>
constexpr void explain_plain_call() {
    using owned = std::remove_cvref_t<Request>;
    constexpr bool is_lvalue = !sync_handler<Handler, Request> && sync_handler<Handler, owned>;
    constexpr bool goes_on = takes_completion_token<Handler> || awaitable_handler<Handler, owned>;
    static_assert(!is_lvalue, "idempo: this handler takes its request as an rvalue: pass std::move(request)");
    static_assert(!goes_on, "idempo: this handler does not answer by returning: pass a completion token behind the "
                            "request");
    if constexpr (!is_lvalue && !goes_on) explain_token_call<Handler, owned>();
    static_assert(store<Store> || !async_store<Store>,
                  "idempo: this store is asynchronous: wrap it in idempo::blocking(store), or pass a completion token "
                  "behind the request");
}

}  // namespace idempo::detail
