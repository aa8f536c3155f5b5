#include "transfer_server/sessions.hpp"

#include <idempo/read_request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

asio::awaitable<void> session(tcp::socket socket, transfer_handler handle) {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        beast::error_code error;
        stream.expires_after(std::chrono::seconds(60));
        co_await idempo::async_read_request(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            auto const answer = idempo::answer_read_error(error);
            if (answer) co_await http::async_write(stream, *answer, asio::use_awaitable);
            co_return;
        }
        // The transaction blocks a thread of the layer's own, and this coroutine waits for it.
        http::message_generator message = co_await handle(parser.release(), asio::use_awaitable);
        keep_alive = message.keep_alive();
        stream.expires_after(std::chrono::seconds(60));
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}

}  // namespace

asio::awaitable<void> serve(tcp::acceptor* acceptor, transfer_handler handle) {
    while (true) {
        auto socket = co_await acceptor->async_accept(asio::use_awaitable);
        asio::co_spawn(acceptor->get_executor(), session(std::move(socket), handle), asio::detached);
    }
}
