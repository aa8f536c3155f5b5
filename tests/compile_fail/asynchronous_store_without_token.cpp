// SPDX-License-Identifier: MIT

// A synchronous session cannot wait for an asynchronous store by itself.

#include <idempo/idempo.hpp>

#include <boost/asio/thread_pool.hpp>

namespace http = boost::beast::http;

int main() {
    boost::asio::thread_pool threads;
    auto const handle = idempo::idempotency(idempo::offload(idempo::memory_store(), threads.get_executor())) |
                        [](http::request<http::string_body> const&) { return http::response<http::string_body>(); };
    handle(http::request<http::string_body>());
}
