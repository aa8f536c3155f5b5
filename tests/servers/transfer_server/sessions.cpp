// SPDX-License-Identifier: MIT
#include "servers/transfer_server/sessions.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/outgoing.hpp>
#include <idempo/http/read_request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <exception>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

asio::awaitable<void> sessions::accept(tcp::acceptor* acceptor) {
    asio::steady_timer pause(acceptor->get_executor());
    while (true) {
        beast::error_code error;
        tcp::socket socket(acceptor->get_executor());
        co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
        if (is_stopping_) co_return;
        if (error) {
            // Without file descriptors there is no use in trying again at once.
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        auto const added = open_.emplace(open_.end(), std::move(socket));
        asio::co_spawn(acceptor->get_executor(), serve(added), asio::detached);
    }
}

void sessions::stop() {
    is_stopping_ = true;
    for (auto& each : open_) {
        if (each.is_reading) each.stream.cancel();
    }
}

asio::awaitable<void> sessions::serve(place connected) {
    try {
        co_await answer_requests(&*connected);
    } catch (std::exception const&) {  // the client is gone
    }
    open_.erase(connected);
}

asio::awaitable<void> sessions::answer_requests(client* connected) {
    auto& stream = connected->stream;
    beast::flat_buffer buffer(65536);
    idempo::read_options const reading{.answer_expect = true};
    for (bool keep_alive = true; keep_alive && !is_stopping_;) {
        http_request request;
        beast::error_code error;
        stream.expires_after(std::chrono::seconds(75));
        connected->is_reading = true;
        co_await idempo::async_read_request(stream, buffer, request, reading,
                                            asio::redirect_error(asio::use_awaitable, error));
        connected->is_reading = false;
        if (error) {
            auto answer = idempo::answer_read_error(error, request);
            if (answer) co_await idempo::async_answer_and_close(stream, std::move(*answer), asio::use_awaitable);
            co_return;
        }
        // The transaction blocks a thread of the layer's own, and this coroutine waits for it.
        http::message_generator message = co_await handle_(std::move(request), asio::use_awaitable);
        if (is_stopping_) message = idempo::with_connection_close(std::move(message));
        keep_alive = message.keep_alive();
        stream.expires_after(std::chrono::seconds(60));
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}
