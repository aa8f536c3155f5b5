// SPDX-License-Identifier: MIT

// A coroutine needs an executor, and neither the callback nor a memory store has one.

#include <idempo/idempo.hpp>

namespace asio = boost::asio;
namespace http = boost::beast::http;

int main() {
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [](http::request<http::string_body>) -> asio::awaitable<http::response<http::string_body>> {
        co_return http::response<http::string_body>();
    };
    handle(http::request<http::string_body>(), [](http::message_generator) {});
}
