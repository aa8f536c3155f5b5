// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/exchange/middleware_state.hpp>
#include <idempo/layers/layer.hpp>
#include <idempo/layers/middleware.hpp>
#include <idempo/options.hpp>
#include <idempo/store.hpp>

#include <utility>

namespace idempo {

/// Wraps handlers in a `middleware`.
template <class Store>
class idempotency_layer : public layer_base {
public:
    idempotency_layer(Store store, idempo::options options) : store_(std::move(store)), options_(std::move(options)) {
        detail::validate_for(options_, store_);
    }

    template <class Handler>
    middleware<Handler, Store> operator()(Handler handler) const {
        return {std::move(handler), store_, options_};
    }

private:
    Store store_;
    idempo::options options_;
};

/// The layer of this library: `idempotency(store, options) | handler` is a middleware.
/// \throws std::invalid_argument if the options contradict each other.
template <class Store>
    requires(store<Store> || async_store<Store>)
idempotency_layer<Store> idempotency(Store store, options options = {}) {
    return {std::move(store), std::move(options)};
}

/// The name of `idempotency` in version 0.1. It goes away in 0.3.
template <class Store>
    requires(store<Store> || async_store<Store>)
[[deprecated("use idempo::idempotency")]] idempotency_layer<Store> layer(Store store, options options = {}) {
    return {std::move(store), std::move(options)};
}

}  // namespace idempo
