// SPDX-License-Identifier: MIT

// A handler that takes a completion token has to say so.

#include <idempo/idempo.hpp>

namespace http = boost::beast::http;

int main() {
    auto const handle =
        idempo::idempotency(idempo::memory_store()) |
        [](http::request<http::string_body> const&, auto done) { done(http::response<http::string_body>()); };
    handle(http::request<http::string_body>(), [](http::message_generator) {});
}
