// SPDX-License-Identifier: MIT
#include "payments/provider_client.hpp"

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;

asio::awaitable<std::string> provider_client::call(std::string operation, std::string order, std::string key) const {
    http_request request(http::verb::post, "/" + operation, 11, std::move(order));
    request.set("Idempotency-Key", key);
    request.prepare_payload();
    auto answer = co_await exchange(std::move(request));
    if (answer.result() == http::status::ok) co_return std::move(answer.body());
    if (answer.result() == http::status::service_unavailable) throw provider_refused(operation + " is refused");
    throw provider_unsure(operation + " has failed");
}

asio::awaitable<std::optional<std::string>> provider_client::find(std::string operation, std::string order) const {
    http_request request(http::verb::get, "/" + operation + "/" + order, 11);
    auto answer = co_await exchange(std::move(request));
    if (answer.result() == http::status::ok) co_return std::move(answer.body());
    if (answer.result() == http::status::not_found) co_return std::nullopt;
    throw provider_unsure("nobody knows of " + operation);
}

asio::awaitable<http_response> provider_client::exchange(http_request request) const {
    constexpr std::chrono::milliseconds deadline{1000};
    try {
        beast::tcp_stream stream(co_await asio::this_coro::executor);
        stream.expires_after(deadline);
        asio::ip::tcp::endpoint const provider(asio::ip::address_v4::loopback(), port_);
        co_await stream.async_connect(provider, asio::use_awaitable);
        request.set(http::field::host, "127.0.0.1");
        request.keep_alive(false);
        co_await http::async_write(stream, request, asio::use_awaitable);
        beast::flat_buffer buffer;
        http_response answer;
        co_await http::async_read(stream, buffer, answer, asio::use_awaitable);
        co_return answer;
    } catch (boost::system::system_error const& error) {
        throw provider_unsure("no answer: " + error.code().message());
    }
}
