#include "common/callback_charges.hpp"
#include "common/charge_service.hpp"
#include "common/port.hpp"

#include <idempo/handler.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

/// \file
/// One callback after the other, on one thread. With more, accept each connection on a strand of its own.

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using handle_type = idempo::middleware<idempo::async_handler_t<callback_charges>, idempo::memory_store>;

class session : public std::enable_shared_from_this<session> {
public:
    session(tcp::socket socket, handle_type handle) : stream_(std::move(socket)), handle_(std::move(handle)) {}

    template <class Member>
    auto next(Member member) {
        return beast::bind_front_handler(member, shared_from_this());
    }

    void read() {
        stream_.expires_after(std::chrono::seconds(60));
        idempo::async_read_request(stream_, buffer_, parser_.emplace(), next(&session::on_read));
    }

private:
    void on_read(beast::error_code error) {
        if (!error) {
            auto send = asio::bind_executor(stream_.get_executor(), next(&session::send_response));
            return handle_(parser_.value().release(), std::move(send));  // was: send(handle_request(…))
        }
        if (auto answer = idempo::answer_read_error(error)) send_response(std::move(*answer));
    }

    void send_response(http::message_generator message) {
        keep_alive_ = message.keep_alive();
        beast::async_write(stream_, std::move(message), next(&session::on_write));
    }

    void on_write(beast::error_code error, std::size_t) {
        if (!error && keep_alive_) read();
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{65536};
    std::optional<http::request_parser<http::string_body>> parser_;
    handle_type handle_;
    bool keep_alive_ = false;
};

void accept(tcp::acceptor& acceptor, handle_type const& handle) {
    acceptor.async_accept([&acceptor, &handle](beast::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<session>(std::move(socket), handle)->read();
        accept(acceptor, handle);
    });
}

int main(int argument_count, char** arguments) {
    charge_service charges;

    idempo::memory_store const store;
    auto const handle = idempo::idempotency(store) | idempo::async_handler(callback_charges(charges));

    asio::io_context context(1);
    tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    accept(acceptor, handle);
    context.run();
}
