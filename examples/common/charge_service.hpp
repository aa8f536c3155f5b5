// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_order.hpp"
#include "common/ledger.hpp"
#include "common/responses.hpp"

#include <variant>

/// The routes of the example servers, and their one effect:
///
///     POST|PUT|PATCH /charge   {"amount":42} makes a charge; for the switches in the query see charge_order.hpp
///     GET /charges             the charges of this process so far
///     GET /healthz
///
/// It knows nothing about idempotency. sync_charges.hpp, callback_charges.hpp and awaitable_charges.hpp make handlers
/// of it, which differ in how they wait. Thread-safe.
class charge_service {
public:
    /// Whether no route took the request. The handlers free the key then: nothing has happened, and answers to
    /// wrong addresses must not fill a store that has a limit.
    [[nodiscard]] static bool is_unrouted(http_response const& answer) noexcept {
        return answer.result() == http::status::not_found || answer.result() == http::status::method_not_allowed;
    }

    /// The answer at once, or the charge that is to be made after `charge_order::delay`.
    [[nodiscard]] std::variant<http_response, charge_order> route(http_request const& request);

    /// Has the effect, and returns the response. `attempt` comes from `idempo::execution`.
    /// \throws std::runtime_error if the order says so.
    [[nodiscard]] http_response charge(charge_order const& order, unsigned attempt);

private:
    [[nodiscard]] http_response list_charges(http_request const& request) const;

    ledger ledger_;
};
