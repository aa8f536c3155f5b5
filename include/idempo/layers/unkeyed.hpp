// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/execution.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/filtered.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <memory>

/// \file
/// A request that is none of the idempotency layer's business takes the way through a filter that lets everything pass.

namespace idempo::detail {

struct open_filter {
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    struct no_fields {
        template <class Response>
        void apply_to(Response const&) const noexcept {}
        [[nodiscard]] static http::message_generator applied_to(http::message_generator message) { return message; }
    };

    /// As a `filter_result` that has nothing to say, in no space.
    struct result_type {
        static constexpr http::response<http::string_body>* answer = nullptr;
        no_fields fields;
    };

    template <class Request>
    [[nodiscard]] result_type check(Request const&) const {
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

/// Owned by the call: the execution of a request that is none of an idempotency layer's business.
struct unkeyed_execution {
    unkeyed_execution() = default;
    /// It moves only before it is used: what is moved to is as new.
    unkeyed_execution(unkeyed_execution&&) noexcept {}
    unkeyed_execution& operator=(unkeyed_execution&&) = delete;
    ~unkeyed_execution() = default;

    execution own;
};

inline execution* argument_of(unkeyed_execution& unkeyed) noexcept { return &unkeyed.own; }
inline execution* outer_of(execution* outer) noexcept { return outer; }
inline execution* outer_of(unkeyed_execution const&) noexcept { return nullptr; }

}  // namespace idempo::detail
