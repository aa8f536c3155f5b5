#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <string_view>

namespace http = boost::beast::http;

using http_request = http::request<http::string_body>;
using http_response = http::response<http::string_body>;

/// An answer with a JSON body, or none where the status forbids one.
[[nodiscard]] http_response json_response(unsigned status, std::string json, unsigned version, bool keep_alive);

/// A problem document (RFC 9457). The title says all there is to say.
[[nodiscard]] http_response problem_response(unsigned status, std::string_view title, unsigned version,
                                             bool keep_alive);

/// Leaves the head of what a GET would have got (RFC 9110, section 9.3.2).
void remove_body_for_head(http_response& answer);
