// SPDX-License-Identifier: MIT
#pragma once

#include "support/effect_ledger.hpp"
#include "support/service.hpp"

#include <string>

namespace idempo::tests {

/// The work of most handlers under test: an effect, and a response that differs from one execution to the next.
[[nodiscard]] inline text_response charge(effect_ledger const& ledger, execution const& execution) {
    auto const number = std::to_string(ledger.append(execution.key()));
    text_response response(http::status::created, 11);
    response.set(http::field::location, "/charges/" + number);
    response.body() = "charge " + number;
    response.prepare_payload();
    return response;
}

[[nodiscard]] inline handler_function charging(effect_ledger ledger) {
    return [ledger](text_request const&, execution& execution) { return charge(ledger, execution); };
}

[[nodiscard]] inline text_response answer_with(unsigned status, std::string body = "answer") {
    text_response response;
    response.result(status);
    response.body() = std::move(body);
    return response;
}

}  // namespace idempo::tests
