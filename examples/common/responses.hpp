// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <string_view>

namespace http = boost::beast::http;

using http_request = http::request<http::string_body>;
using http_response = http::response<http::string_body>;

/// A response with a JSON body, or without one if the status forbids it.
[[nodiscard]] http_response json_response(unsigned status, std::string json, unsigned version, bool keep_alive);

/// A problem document (RFC 9457) with only a title.
[[nodiscard]] http_response problem_response(unsigned status, std::string_view title, unsigned version,
                                             bool keep_alive);

/// Keeps the head of the response to a GET (RFC 9110, section 9.3.2).
void remove_body_for_head(http_response& answer);
