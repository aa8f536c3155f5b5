// SPDX-License-Identifier: MIT
#include "common/callback_charges.hpp"
#include "common/charge_service.hpp"
#include "common/port.hpp"

#include <idempo/handler.hpp>
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
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
        stream_.expires_after(std::chrono::seconds(75));
        idempo::async_read_request(stream_, buffer_, request_, {.answer_expect = true}, next(&session::on_read));
    }

private:
    void on_read(beast::error_code error, std::size_t) {
        if (error) return refuse(error);
        auto send = asio::bind_executor(stream_.get_executor(), next(&session::send_response));
        handle_(std::move(request_), std::move(send));  // what was: send(handle_request(…))
    }

    void refuse(beast::error_code error) {
        auto answer = idempo::answer_read_error(error, request_);
        if (!answer) return;
        idempo::async_answer_and_close(stream_, std::move(*answer), [self = shared_from_this()](beast::error_code) {});
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
    http::request<http::string_body> request_;
    handle_type handle_;
    bool keep_alive_ = false;
};

class listener {
public:
    listener(asio::io_context& context, tcp::endpoint const& endpoint, handle_type handle)
        : acceptor_(context, endpoint),
          pause_(context),
          handle_(std::move(handle)) {}

    [[nodiscard]] tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

    void accept() {
        acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
            if (error) return accept_later();
            std::make_shared<session>(std::move(socket), handle_)->read();
            accept();
        });
    }

private:
    /// Without file descriptors there is no use in trying again at once.
    void accept_later() {
        pause_.expires_after(std::chrono::milliseconds(50));
        pause_.async_wait([this](beast::error_code) { accept(); });
    }

    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
    handle_type handle_;
};

int main(int argument_count, char** arguments) {
    charge_service charges;

    idempo::memory_store const store;
    auto const handle = idempo::idempotency(store) | idempo::async_handler(callback_charges(charges));

    asio::io_context context(1);
    listener listener(context, local_endpoint(argument_count, arguments), handle);
    std::cout << "listening on http://" << listener.local_endpoint() << std::endl;
    listener.accept();
    context.run();
}
