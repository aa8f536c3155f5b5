// SPDX-License-Identifier: MIT
#include "orders/sessions.hpp"

#include "common/responses.hpp"
#include "orders/limits.hpp"
#include "orders/service_log.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/outgoing.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/write.hpp>

#include <nlohmann/json.hpp>

#include <charconv>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

/// The status of a type-erased message: it is in the first bytes to be sent. Preparing them twice changes nothing as
/// long as none are consumed.
unsigned status_of(http::message_generator& message) {
    constexpr std::size_t start = std::string_view("HTTP/1.1 ").size();
    constexpr std::size_t digits = 3;
    error_code error;
    auto const buffers = message.prepare(error);
    if (error || buffers.empty() || buffers.begin()->size() < start + digits) return 0;
    auto const* const text = static_cast<char const*>(buffers.begin()->data()) + start;
    unsigned status = 0;
    std::from_chars(text, text + digits, status);
    return status;
}

http_response too_many() {
    auto answer = problem_response(503, "Too Many Connections", 11, false);
    answer.set(http::field::retry_after, "1");
    return answer;
}

}  // namespace

struct sessions::connection {
    connection(tcp::socket socket, sessions& among) : stream(std::move(socket)), owner(among) {
        peer = idempo::peer_address(stream.socket());
        owner.open_.insert(this);
    }
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    ~connection() { owner.open_.erase(this); }

    beast::tcp_stream stream;
    beast::flat_buffer buffer{limits::buffer};
    asio::ip::address peer;
    /// Waits for data from the client. Shutdown cuts short only this.
    bool is_reading = false;
    sessions& owner;
};

asio::awaitable<void> sessions::accept(tcp::acceptor* acceptor) {
    asio::steady_timer pause(acceptor->get_executor());
    while (acceptor->is_open()) {
        error_code error;
        tcp::socket socket(acceptor->get_executor());
        co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            // Without file descriptors, trying again at once is useless.
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        socket.set_option(tcp::no_delay(true), error);
        auto client = std::make_shared<connection>(std::move(socket), *this);
        asio::co_spawn(acceptor->get_executor(), serve(std::move(client)), [](std::exception_ptr thrown) {
            if (thrown) service_log::write("failure", {{"where", "a connection"}});
        });
    }
}

void sessions::stop() {
    is_stopping_ = true;
    feed_.stop();
    for (auto* const each : open_) {
        if (each->is_reading) each->stream.cancel();
    }
}

asio::awaitable<void> sessions::serve(std::shared_ptr<connection> client) {
    if (open_.size() > limits::connections) {
        error_code ignored;
        auto refusal = too_many();
        co_await idempo::async_answer_and_close(client->stream, std::move(refusal), limits::linger,
                                                asio::redirect_error(asio::use_awaitable, ignored));
        co_return;
    }
    bool goes_on = true;
    while (goes_on && !is_stopping_) goes_on = co_await serve_request(client.get());
}

asio::awaitable<void> sessions::refuse(connection* client, error_code error, http_request const* request) {
    auto refusal = idempo::answer_read_error(error, *request);
    if (!refusal) co_return;
    co_await idempo::async_answer_and_close(client->stream, std::move(*refusal), limits::linger,
                                            asio::redirect_error(asio::use_awaitable, error));
}

asio::awaitable<bool> sessions::serve_request(connection* client) {
    http_request request;
    idempo::read_options const reading{.answer_expect = true, .body_limit = limits::body};
    error_code error;
    client->stream.expires_after(limits::read_time);
    client->is_reading = true;
    co_await idempo::async_read_request(client->stream, client->buffer, request, reading,
                                        asio::redirect_error(asio::use_awaitable, error));
    client->is_reading = false;
    if (error) {
        co_await refuse(client, error, &request);
        co_return false;
    }

    auto const began = std::chrono::steady_clock::now();
    auto const route = routes::route_of(request.target());
    std::string const method(request.method_string());
    if (route == "/events" && request.method() == http::verb::get && !feed_.is_full()) {
        co_await feed_.send(&client->stream);
        co_return false;
    }
    auto answer = co_await routes_.answer(std::move(request), client->peer);
    auto const status = status_of(answer);
    measured_.count_response(status);
    service_log::request(method, route, status, std::chrono::steady_clock::now() - began);
    co_return co_await send(client, std::move(answer));
}

/// Returns whether there may be a next request.
asio::awaitable<bool> sessions::send(connection* client, http::message_generator answer) {
    error_code error;
    auto dated = idempo::with_date(std::move(answer));
    if (is_stopping_) dated = idempo::with_connection_close(std::move(dated));
    bool const keep_alive = dated.keep_alive();
    client->stream.expires_after(limits::write_time);
    co_await beast::async_write(client->stream, std::move(dated), asio::redirect_error(asio::use_awaitable, error));
    co_return keep_alive && !error;
}
