// SPDX-License-Identifier: MIT
#include "servers/charge_server/deadline_stream.hpp"

#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;
using stream_type = deadline_stream<asio::io_context::executor_type>;

/// A connection of a client and the stream that a server has of it.
struct connected {
    connected() {
        tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
        client.connect(acceptor.local_endpoint());
        stream.emplace(stream_type::socket_type(acceptor.accept(context.get_executor())));
    }

    void read() {
        stream->async_read_some(asio::buffer(bytes), [this](error_code error, std::size_t) { ended = error; });
    }

    void run() {
        context.restart();
        context.run();
    }

    asio::io_context context;
    tcp::socket client{context};
    std::optional<stream_type> stream;
    std::array<char, 16> bytes{};
    std::optional<error_code> ended;
};

}  // namespace

TEST_CASE("deadline_stream: what is under way ends at the deadline") {
    connected scene;
    scene.read();
    scene.stream->expires_after(1ms);
    scene.run();
    CHECK(scene.ended == asio::error::operation_aborted);
}

TEST_CASE("deadline_stream: a deadline may be moved forth and back") {
    connected scene;
    scene.read();
    scene.stream->expires_after(1h);
    scene.stream->expires_after(2h);
    scene.stream->expires_after(1ms);
    scene.run();
    CHECK(scene.ended == asio::error::operation_aborted);

    // The timer fires before the deadline, and waits on.
    scene.ended.reset();
    scene.read();
    scene.stream->expires_after(1ms);
    scene.stream->expires_after(3ms);
    scene.run();
    CHECK(scene.ended == asio::error::operation_aborted);
}

TEST_CASE("deadline_stream: a deadline that has passed ends nothing that began later under another one") {
    connected scene;
    scene.stream->expires_after(0ms);
    scene.run();
    scene.stream->expires_after(1h);
    scene.read();
    asio::write(scene.client, asio::buffer("x", 1));
    scene.context.restart();
    while (!scene.ended) scene.context.run_one();
    CHECK(scene.ended == error_code());
    scene.stream->expires_never();
    scene.stream.reset();
    scene.run();
}

TEST_CASE("deadline_stream: without a deadline nothing is ended") {
    connected scene;
    scene.stream->expires_after(1ms);
    scene.read();
    scene.stream->expires_never();
    asio::steady_timer later(scene.context, 5ms);  // the timer has fired by then
    later.async_wait([&](error_code) {
        CHECK_FALSE(scene.ended);
        scene.stream->cancel();
    });
    scene.run();
    CHECK(scene.ended == asio::error::operation_aborted);
}

TEST_CASE("deadline_stream: it may go while its timer runs") {
    connected scene;
    scene.read();
    scene.stream->expires_after(1h);
    scene.stream.reset();
    scene.run();
    CHECK(scene.ended == asio::error::operation_aborted);
}
