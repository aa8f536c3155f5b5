// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <string>
#include <string_view>

namespace idempo::tests {

namespace http = boost::beast::http;

using text_request = http::request<http::string_body>;
using text_response = http::response<http::string_body>;

inline constexpr std::string_view replayed = "Idempotency-Replayed";

/// `POST /charge` without a key.
[[nodiscard]] text_request unkeyed_request(std::string_view body = R"({"amount":42})");

/// `POST /charge` under a key.
[[nodiscard]] text_request keyed_request(std::string_view key = "key-1", std::string_view body = R"({"amount":42})");

/// The bytes that a session would send. Throws the error of the generator.
[[nodiscard]] std::string bytes_of(http::message_generator message);

/// The response that a client would read.
[[nodiscard]] text_response read(http::message_generator message);

/// Whether the response is marked as a replay.
[[nodiscard]] bool is_replay(text_response const& response);

}  // namespace idempo::tests
