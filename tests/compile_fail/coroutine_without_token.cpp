// SPDX-License-Identifier: MIT

// A coroutine has not answered when its call returns.

#include <idempo/idempo.hpp>

#include <boost/asio/awaitable.hpp>

namespace http = boost::beast::http;

int main() {
    auto const handle =
        idempo::idempotency(idempo::memory_store()) |
        [](http::request<http::string_body>) -> boost::asio::awaitable<http::response<http::string_body>> {
        co_return http::response<http::string_body>();
    };
    handle(http::request<http::string_body>());
}
