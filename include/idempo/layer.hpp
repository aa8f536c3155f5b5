#pragma once

#include <idempo/middleware.hpp>
#include <idempo/options.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace idempo {

/// Layers derive from it, so that `operator|` stays ours.
struct layer_base {};

/// Something that wraps a handler and gives a handler.
template <class T>
concept layer_like = std::derived_from<std::remove_cvref_t<T>, layer_base>;

/// Two layers as one: the outer sees the request first.
template <layer_like Outer, layer_like Inner>
struct layer_stack : layer_base {
    layer_stack(Outer outer_, Inner inner_) : outer(std::move(outer_)), inner(std::move(inner_)) {}

    template <class Handler>
    auto operator()(Handler handler) const {
        return outer(inner(std::move(handler)));
    }

    Outer outer;
    Inner inner;
};

/// Wraps handlers in a `middleware`.
template <class Store>
class idempotency_layer : public layer_base {
public:
    idempotency_layer(Store store, idempo::options options) : store_(std::move(store)), options_(std::move(options)) {
        validate(options_);
    }

    template <class Handler>
    middleware<Handler, Store> operator()(Handler handler) const {
        return {std::move(handler), store_, options_};
    }

private:
    Store store_;
    idempo::options options_;
};

/// The layer of this library: `layer(store) | handler` is a middleware.
/// \throws std::invalid_argument where the options make no sense.
template <class Store>
    requires(store<Store> || async_store<Store>)
idempotency_layer<Store> layer(Store store, options options = {}) {
    return {std::move(store), std::move(options)};
}

/// `a | b | handler`: the leftmost layer sees the request first.
template <class Outer, class Inner>
    requires layer_like<Outer> && layer_like<Inner>
auto operator|(Outer&& outer, Inner&& inner) {
    return layer_stack<std::remove_cvref_t<Outer>, std::remove_cvref_t<Inner>>(std::forward<Outer>(outer),
                                                                               std::forward<Inner>(inner));
}

template <class Layer, class Handler>
    requires layer_like<Layer> && (!layer_like<Handler>)
auto operator|(Layer&& layer, Handler&& handler) {
    return layer(std::decay_t<Handler>(std::forward<Handler>(handler)));
}

}  // namespace idempo
