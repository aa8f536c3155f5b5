// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/answered_request.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/filter_call.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <memory>

/// \file
/// A request that is none of the idempotency layer's business takes the way through a filter that lets everything pass.

namespace idempo::detail {

struct open_filter {
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    template <class Request>
    [[nodiscard]] verdict check(Request const&) const {
        return {};
    }
};

/// For `filter_call`. `State` is a `middleware_state`.
template <class State>
struct unkeyed_access {
    using filter_type = open_filter;
    using handler_type = typename State::handler_type;

    std::shared_ptr<State> state;

    [[nodiscard]] static open_filter filter() noexcept { return {}; }
    [[nodiscard]] handler_type& handler() const noexcept { return state->handler; }
    [[nodiscard]] idempo::observer const& observer() const noexcept { return state->options.observer; }
    [[nodiscard]] http::response<http::string_body> failure(answered_request const& request) const {
        auto const& options = state->options;
        return make_refusal(options.problems, options.write_problem, {refusal::handler_threw, {}, {}}, request);
    }
};

inline execution* outer_of(execution* outer) noexcept { return outer; }
inline execution* outer_of(unkeyed_execution const&) noexcept { return nullptr; }

}  // namespace idempo::detail
