// SPDX-License-Identifier: MIT

// The right way to do what the other files do wrong.

#include <idempo/idempo.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace asio = boost::asio;
namespace http = boost::beast::http;

int main() {
    asio::thread_pool threads;
    auto const answer = [](http::request<http::string_body> const&) { return http::response<http::string_body>(); };
    auto const suspend = [](http::request<http::string_body>) -> asio::awaitable<http::response<http::string_body>> {
        co_return http::response<http::string_body>();
    };
    auto const ignore = [](http::message_generator) {};
    http::request<http::string_body> const request;

    auto const plain = idempo::idempotency(idempo::memory_store()) | answer;
    plain(request);
    plain(request, ignore);
    auto const bound = idempo::idempotency(idempo::memory_store()) | suspend;
    bound(request, asio::bind_executor(threads, ignore));
    auto const offloaded =
        idempo::idempotency(idempo::offload(idempo::memory_store(), threads.get_executor())) | answer;
    offloaded(request, ignore);
}
