#pragma once

#include "support/effect_ledger.hpp"
#include "support/service.hpp"

#include <string>

namespace idempo::tests {

/// What most handlers under test do: an effect, and an answer that tells one execution from the next.
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
