// SPDX-License-Identifier: MIT
#pragma once

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
