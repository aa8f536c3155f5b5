// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <optional>

namespace idempo {

namespace http = boost::beast::http;

/// What to send after `read_request` failed, before the connection is closed: a problem document (RFC 9457), 400 for a
/// request that is not HTTP or that is refused, 413 for `body_limit`, 431 for `header_limit` and a full buffer, 501 for
/// a transfer coding other than chunked. Nothing where the peer is gone, stopped in the middle, or was cut off by a
/// deadline, nor for a fault of the server's.
///
/// Send it with `answer_and_close`: a server that closes while the client is still sending destroys its own answer.
///
/// Without the request nobody knows which origin asks, so the answer has `Access-Control-Allow-Origin: *`: it tells
/// nothing but the error, and a script whose upload is too large can read why (Fetch, 3.2.3). Scripts that send
/// credentials cannot; pass the request and a `cors_layer` for them.
/// \param version of the response; the request's, or 11 where that is not known.
[[nodiscard]] std::optional<http::response<http::string_body>> answer_read_error(error_code ec, unsigned version = 11);

/// The same to a request whose head is known as far as it could be read: `parser.get()`, or what `read_request` left in
/// the request. The answer has its version, and no body where the method is HEAD. A `cors_layer` adds its fields by
/// `allow(request, *answer)`, so that scripts can read it.
template <class Fields>
[[nodiscard]] std::optional<http::response<http::string_body>>
answer_read_error(error_code ec, http::header<true, Fields> const& request) {
    auto answer = answer_read_error(ec, request.version() == 10 ? 10U : 11U);
    if (answer) answer->erase(http::field::access_control_allow_origin);  // a cors_layer knows better
    bool const is_head = request.method() == http::verb::head;
    if (answer && is_head) answer->body().clear();  // its length stays: it is that of the answer to a GET
    return answer;
}

}  // namespace idempo
