// SPDX-License-Identifier: MIT

// The sender feeds a buffer_body, so it cannot be captured.

#include <idempo/idempo.hpp>

#include <boost/beast/http/buffer_body.hpp>

namespace http = boost::beast::http;

int main() {
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [](http::request<http::string_body> const&) { return http::response<http::buffer_body>(); };
    handle(http::request<http::string_body>());
}
