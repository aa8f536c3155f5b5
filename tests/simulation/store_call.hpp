// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/virtual_time.hpp"

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <optional>
#include <variant>

/// \file
/// The operations of a store as messages.

namespace idempo::simulation {

struct abandon_request {
    store_key key;
    idempo::fencing_token fencing_token;
};

struct renew_request {
    store_key key;
    idempo::fencing_token fencing_token;
    std::chrono::milliseconds lease{};
};

struct peek_request {
    store_key key;
};

using store_call = std::variant<claim_request, complete_request, abandon_request, renew_request, step_request,
                                park_request, peek_request, settle_request>;

struct store_answer {
    error_code error{};
    /// Nothing where there is an error, and for Abandon.
    std::variant<std::monostate, claim_result, complete_result, bool, std::optional<record_info>> result{};
};

/// A call that the store has carried out.
struct store_event {
    store_call call;
    store_answer answer;
    /// By the store's clock.
    time_point when;
};

[[nodiscard]] inline store_key const& key_of(store_call const& call) {
    return std::visit([](auto const& request) -> store_key const& { return request.key; }, call);
}

/// All zeros where the call has none.
[[nodiscard]] inline fencing_token token_of(store_call const& call) {
    return std::visit(
        [](auto const& request) {
            if constexpr (requires { request.fencing_token; }) {
                return request.fencing_token;
            } else {
                return fencing_token{};
            }
        },
        call);
}

/// Does to the store what the message says.
template <class Store>
store_answer apply_to(Store& store, store_call const& call) {
    store_answer answer;
    auto& error = answer.error;
    if (auto const* claim = std::get_if<claim_request>(&call)) {
        answer.result = store.claim(*claim, error);
    } else if (auto const* complete = std::get_if<complete_request>(&call)) {
        answer.result = store.complete(*complete, error);
    } else if (auto const* abandon = std::get_if<abandon_request>(&call)) {
        store.abandon(abandon->key, abandon->fencing_token, error);
    } else if (auto const* renew = std::get_if<renew_request>(&call)) {
        answer.result = store.renew(renew->key, renew->fencing_token, renew->lease, error);
    } else if (auto const* step = std::get_if<step_request>(&call)) {
        answer.result = store.save_step(*step, error);
    } else if (auto const* park = std::get_if<park_request>(&call)) {
        answer.result = store.park(*park, error);
    } else if (auto const* settle = std::get_if<settle_request>(&call)) {
        answer.result = store.settle(*settle, error);
    } else {
        answer.result = store.peek(std::get<peek_request>(call).key, error);
    }
    return answer;
}

}  // namespace idempo::simulation
