#include "common/charge_service.hpp"
#include "common/port.hpp"
#include "common/sync_charges.hpp"

#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include <exception>
#include <iostream>
#include <thread>
#include <utility>

/// \file
/// A thread for each connection, and the middleware called like the function that it wraps.

namespace beast = boost::beast;
using boost::asio::ip::tcp;

namespace {

template <class Handle>
void serve(tcp::socket& socket, Handle const& handle) {
    beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        beast::error_code error;
        idempo::read_request(socket, buffer, parser, error);
        if (error) {
            auto const answer = idempo::answer_read_error(error);
            if (answer) http::write(socket, *answer, error);
            return;
        }
        http::message_generator message = handle(parser.release());  // was: handle_request(parser.release())
        keep_alive = message.keep_alive();
        beast::write(socket, std::move(message));
    }
}

template <class Handle>
void session(tcp::socket socket, Handle const& handle) {
    try {
        serve(socket, handle);
    } catch (std::exception const& error) {  // the client is gone, or the handler threw
        std::cerr << error.what() << std::endl;
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    charge_service charges;

    idempo::memory_store const store;
    auto const handle = idempo::idempotency(store) | sync_charges(charges);

    boost::asio::io_context context;
    tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    while (true) {
        // Detached for brevity; charge_server joins its threads.
        std::thread([&handle, socket = acceptor.accept()]() mutable { session(std::move(socket), handle); }).detach();
    }
}
