// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_order.hpp"
#include "common/ledger.hpp"
#include "common/responses.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

/// The routes of the example servers, and their one effect:
///
///     POST|PUT|PATCH /charge   {"amount":42} makes a charge; for the switches in the query see charge_order.hpp
///     GET /charges             the charges of this process so far
///     GET /healthz
///     GET /metrics             for Prometheus, in a service that has metrics
///
/// It knows nothing about idempotency. sync_charges.hpp, callback_charges.hpp and awaitable_charges.hpp make handlers
/// of it, which differ in how they wait. Thread-safe.
class charge_service {
public:
    /// \param metrics the text at `/metrics`; without it there is no such route
    explicit charge_service(std::function<std::string()> metrics = {}) : metrics_(std::move(metrics)) {}

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
    [[nodiscard]] http_response read(http_request const& request, std::string_view path) const;
    [[nodiscard]] http_response list_charges(http_request const& request) const;

    std::function<std::string()> metrics_;
    ledger ledger_;
};
