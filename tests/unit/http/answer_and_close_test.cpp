// SPDX-License-Identifier: MIT

// RFC 9112 section 9.6: an answer to a client that is still sending.

#include <idempo/http/answer_and_close.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using idempo::error_code;
using idempo::linger_limits;

enum class style { synchronous, asynchronous };

text_response refusal() {
    text_response response{http::status::payload_too_large, 11};
    response.keep_alive(false);
    response.body() = std::string(100, 'x');
    response.prepare_payload();
    return response;
}

/// Two ends of a connection through the loopback.
struct pair_of_sockets {
    pair_of_sockets() {
        tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
        client.connect(acceptor.local_endpoint());
        server.emplace(acceptor.accept());
    }

    /// Refuses and closes, on the calling thread.
    error_code refuse(style how, linger_limits limits = {}) {
        error_code result = asio::error::in_progress;
        if (how == style::synchronous) {
            auto socket = server->release_socket();
            idempo::answer_and_close(socket, http::message_generator(refusal()), limits, result);
            socket.close();
            return result;
        }
        idempo::async_answer_and_close(*server, refusal(), limits, [&](error_code ec) {
            result = ec;
            server->close();
        });
        context.run();
        return result;
    }

    asio::io_context context;
    tcp::socket client{context};
    std::optional<beast::tcp_stream> server;
};

/// What a client reads to the end, and whether that was an orderly one.
std::pair<std::string, error_code> read_all(tcp::socket& socket) {
    std::string got;
    std::array<char, 4096> bytes{};
    error_code ec;
    while (!ec) {
        auto const size = socket.read_some(asio::buffer(bytes), ec);
        got.append(bytes.data(), size);
    }
    return {got, ec};
}

#define FOR_EACH_STYLE() auto const how = GENERATE(style::synchronous, style::asynchronous)

}  // namespace

TEST_CASE("answer_and_close: the answer reaches a client that goes on sending", "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    constexpr std::size_t size = std::size_t{5} << 20;
    std::thread client([&] {
        std::vector<char> const body(size, 'b');
        error_code ec;
        asio::write(sockets.client, asio::buffer(body), ec);
        CHECK_FALSE(ec);
        sockets.client.shutdown(tcp::socket::shutdown_send, ec);
    });
    CHECK_FALSE(sockets.refuse(how));
    client.join();
    auto const [got, ended] = read_all(sockets.client);
    CHECK(got.starts_with("HTTP/1.1 413"));
    CHECK(got.ends_with(std::string(100, 'x')));
    CHECK(ended == asio::error::eof);
}

TEST_CASE("answer_and_close: a client that closes ends it at once", "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    sockets.client.shutdown(tcp::socket::shutdown_send);
    CHECK_FALSE(sockets.refuse(how, {.time = 1h}));  // and not at the limit
}

TEST_CASE("answer_and_close: a client that sends for ever is left at the limit of time", "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    std::thread client([&] {
        std::vector<char> const piece(65536, 'b');
        error_code ec;
        while (!ec) asio::write(sockets.client, asio::buffer(piece), ec);
    });
    CHECK_FALSE(sockets.refuse(how, {.time = 100ms, .bytes = std::size_t(-1)}));
    sockets.server.reset();  // closed with bytes unread: the client's writing fails
    client.join();
}

TEST_CASE("answer_and_close: a client that says nothing is left at the limit of time", "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    auto const start = std::chrono::steady_clock::now();
    CHECK_FALSE(sockets.refuse(how, {.time = 50ms}));
    CHECK(std::chrono::steady_clock::now() - start >= 50ms);
    CHECK(read_all(sockets.client).first.starts_with("HTTP/1.1 413"));
}

TEST_CASE("answer_and_close: no more is read than the limit of bytes", "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    asio::write(sockets.client, asio::buffer(std::string(100'000, 'b')));
    CHECK_FALSE(sockets.refuse(how, {.time = 1h, .bytes = 50'000}));
}

TEST_CASE("answer_and_close: a client that has reset the connection is an error, and no exception",
          "[answer_and_close]") {
    FOR_EACH_STYLE();
    pair_of_sockets sockets;
    sockets.client.set_option(asio::socket_base::linger(true, 0));
    sockets.client.close();
    // The write may still succeed where the reset has not arrived.
    CHECK_NOTHROW(sockets.refuse(how, {.time = 1h}));
}

TEST_CASE("answer_and_close: a deadline of the stream's own does not cut the answer off", "[answer_and_close]") {
    pair_of_sockets sockets;
    sockets.server->expires_after(std::chrono::milliseconds(-1));
    asio::write(sockets.client, asio::buffer(std::string(100'000, 'b')));
    sockets.client.shutdown(tcp::socket::shutdown_send);
    CHECK_FALSE(sockets.refuse(style::asynchronous));
    CHECK(read_all(sockets.client).first.starts_with("HTTP/1.1 413"));
}
