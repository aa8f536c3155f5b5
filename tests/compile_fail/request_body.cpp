// SPDX-License-Identifier: MIT

// The bytes of a file are not in memory, so there is no fingerprint.

#include <idempo/idempo.hpp>

#include <boost/beast/http/file_body.hpp>

namespace http = boost::beast::http;

int main() {
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [](http::request<http::file_body> const&) { return http::response<http::string_body>(); };
    handle(http::request<http::file_body>());
}
