// SPDX-License-Identifier: MIT
#include "common/awaitable_charges.hpp"
#include "common/charge_service.hpp"
#include "common/port.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <iostream>
#include <utility>

/// \file
/// A coroutine for each connection, on one thread. With more, accept each connection on a strand of its own.

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

template <class Handle>
asio::awaitable<void> session(tcp::socket socket, Handle handle) {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(65536);
    idempo::read_options const reading{.answer_expect = true};
    for (bool keep_alive = true; keep_alive;) {
        http::request<http::string_body> request;
        beast::error_code error;
        stream.expires_after(std::chrono::seconds(75));
        co_await idempo::async_read_request(stream, buffer, request, reading,
                                            asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            auto answer = idempo::answer_read_error(error, request);
            if (answer) co_await idempo::async_answer_and_close(stream, std::move(*answer), asio::use_awaitable);
            co_return;
        }
        // What was: co_await handle_request(std::move(request))
        http::message_generator message = co_await handle(std::move(request), asio::use_awaitable);
        keep_alive = message.keep_alive();
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}

template <class Handle>
asio::awaitable<void> accept(tcp::acceptor* acceptor, Handle handle) {
    asio::steady_timer pause(acceptor->get_executor());
    while (true) {
        beast::error_code error;
        tcp::socket socket(acceptor->get_executor());
        co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            // Without file descriptors there is no use in trying again at once, and no reason to end.
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        asio::co_spawn(acceptor->get_executor(), session(std::move(socket), handle), asio::detached);
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    charge_service charges;

    idempo::memory_store const store;
    auto const handle = idempo::idempotency(store) | awaitable_charges(charges);

    asio::io_context context(1);
    tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    asio::co_spawn(context, accept(&acceptor, handle), asio::detached);
    context.run();
}
