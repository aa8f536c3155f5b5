#include "servers/transfer_server/sessions.hpp"

#include <idempo/http/read_request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <exception>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

asio::awaitable<void> sessions::accept(tcp::acceptor* acceptor) {
    while (true) {
        auto socket = co_await acceptor->async_accept(asio::use_awaitable);
        if (is_stopping_) co_return;
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
    for (bool keep_alive = true; keep_alive && !is_stopping_;) {
        http::request_parser<http::string_body> parser;
        beast::error_code error;
        stream.expires_after(std::chrono::seconds(60));
        connected->is_reading = true;
        co_await idempo::async_read_request(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
        connected->is_reading = false;
        if (error) {
            auto const answer = idempo::answer_read_error(error);
            if (answer) co_await http::async_write(stream, *answer, asio::use_awaitable);
            co_return;
        }
        // The transaction blocks a thread of the layer's own, and this coroutine waits for it.
        http::message_generator message = co_await handle_(parser.release(), asio::use_awaitable);
        keep_alive = message.keep_alive();
        stream.expires_after(std::chrono::seconds(60));
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}
