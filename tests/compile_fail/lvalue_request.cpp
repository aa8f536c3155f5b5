// SPDX-License-Identifier: MIT

// A handler that takes its request as an rvalue cannot be given one that is kept.

#include <idempo/idempo.hpp>

namespace http = boost::beast::http;

int main() {
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [](http::request<http::string_body>&&) { return http::response<http::string_body>(); };
    http::request<http::string_body> request;
    handle(request);
}
