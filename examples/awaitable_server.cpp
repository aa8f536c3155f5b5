#include "common/awaitable_charges.hpp"
#include "common/charge_service.hpp"
#include "common/port.hpp"

#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
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
        // was: co_await handle_request(parser.release())
        http::message_generator message = co_await handle(parser.release(), asio::use_awaitable);
        keep_alive = message.keep_alive();
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}

template <class Handle>
asio::awaitable<void> accept(tcp::acceptor* acceptor, Handle handle) {
    while (true) {
        auto socket = co_await acceptor->async_accept(asio::use_awaitable);
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
