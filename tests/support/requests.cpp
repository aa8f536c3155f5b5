// SPDX-License-Identifier: MIT
#include "support/requests.hpp"

#include <idempo/testing/read_answer.hpp>

#include <utility>

namespace idempo::tests {

text_request unkeyed_request(std::string_view body) {
    text_request request(http::verb::post, "/charge", 11);
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    return request;
}

text_request keyed_request(std::string_view key, std::string_view body) {
    auto request = unkeyed_request(body);
    request.set("Idempotency-Key", key);
    return request;
}

std::string bytes_of(http::message_generator message) { return testing::bytes_of(std::move(message)); }

text_response read(http::message_generator message) { return testing::read_answer(std::move(message)); }

bool is_replay(text_response const& response) { return response[replayed] == "true"; }

}  // namespace idempo::tests
