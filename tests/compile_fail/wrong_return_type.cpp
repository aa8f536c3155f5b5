// SPDX-License-Identifier: MIT

// A text is no response.

#include <idempo/idempo.hpp>

#include <string>

namespace http = boost::beast::http;

int main() {
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [](http::request<http::string_body> const&) { return std::string("done"); };
    handle(http::request<http::string_body>());
}
