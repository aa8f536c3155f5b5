// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/read_error.hpp>

#include <idempo/problem.hpp>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>

#include <string>
#include <string_view>

namespace idempo {

namespace {

struct answer {
    unsigned status = 0;
    std::string_view title;
};

constexpr answer bad_request{400, "Bad Request"};
constexpr answer content_too_large{413, "Content Too Large"};
constexpr answer fields_too_large{431, "Request Header Fields Too Large"};
constexpr answer not_implemented{501, "Not Implemented"};

/// To what the parser reports of a request; nothing to what it reports of the connection or of its caller.
std::optional<answer> answer_to(http::error reason) noexcept {
    switch (reason) {
    case http::error::body_limit: return content_too_large;
    case http::error::header_limit:
    case http::error::buffer_overflow: return fields_too_large;
    case http::error::unexpected_body:
    case http::error::bad_line_ending:
    case http::error::bad_method:
    case http::error::bad_target:
    case http::error::bad_version:
    case http::error::bad_field:
    case http::error::bad_value:
    case http::error::bad_content_length:
    case http::error::bad_transfer_encoding:
    case http::error::bad_chunk:
    case http::error::bad_chunk_extension:
    case http::error::bad_obs_fold:
    case http::error::multiple_content_length: return bad_request;
    default: return std::nullopt;
    }
}

std::optional<answer> answer_to(error_code ec) noexcept {
    if (ec == error::coding_unsupported) return not_implemented;
    if (ec == error::trailer_refused || ec == error::framing_refused) return bad_request;
    if (ec == error::host_refused || ec == error::target_refused) return bad_request;
    auto const reason = static_cast<http::error>(ec.value());
    if (ec != http::make_error_code(reason)) return std::nullopt;
    return answer_to(reason);
}

}  // namespace

std::optional<http::response<http::string_body>> answer_read_error(error_code ec, unsigned version) {
    auto const answer = answer_to(ec);
    if (!answer) return std::nullopt;
    http::response<http::string_body> response(http::int_to_status(answer->status), version);
    response.keep_alive(false);
    response.set(http::field::access_control_allow_origin, "*");
    write_problem_json(response, {answer->status, std::string(answer->title), "about:blank"}, {});
    response.prepare_payload();
    return response;
}

}  // namespace idempo
