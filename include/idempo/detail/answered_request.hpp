// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

namespace idempo::detail {

namespace http = boost::beast::http;

/// What an answer takes over from the request that it answers. Read before the request is moved to the handler.
struct answered_request {
    unsigned version = 11;
    bool keep_alive = true;
    bool is_head = false;

    template <class Request>
    explicit answered_request(Request const& request)
        : version(request.version()),
          keep_alive(request.keep_alive()),
          is_head(request.method() == http::verb::head) {}

    /// An answer to HEAD has no body (RFC 9110, section 9.3.2). Its length stays: it is that of the answer to a GET.
    void fit(http::response<http::string_body>& answer) const {
        if (is_head) answer.body().clear();
    }
};

}  // namespace idempo::detail
