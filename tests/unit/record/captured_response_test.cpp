// SPDX-License-Identifier: MIT
#include <idempo/record/captured_response.hpp>

#include "support/catch.hpp"
#include <idempo/record/raw_response.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/file_base.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/none.hpp>
#include <boost/optional/optional.hpp>

#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using idempo::capture_policy;
using idempo::error_code;
using idempo::stored_response;
using idempo::detail::captured_response;

using captured_generator = captured_response<http::message_generator>;
constexpr std::size_t max_body = capture_policy{}.max_body;
constexpr std::size_t allowance = captured_generator::head_allowance;

static_assert(std::same_as<decltype(std::declval<captured_response<http::response<http::dynamic_body>>>().release()),
                           http::response<http::dynamic_body>>);
static_assert(std::same_as<decltype(std::declval<captured_response<http::response<http::file_body>>>().release()),
                           http::message_generator>);
static_assert(std::is_nothrow_move_constructible_v<captured_response<http::response<http::string_body>>>);

/// A body written piece by piece, in each of the ways that Beast allows.
struct pieces_body {
    struct value_type {
        std::vector<std::string> pieces;
        /// Otherwise the last piece says that it is the last.
        bool end_with_none = false;
        /// Reported after the last piece.
        error_code failure;
    };

    class writer {
    public:
        using const_buffers_type = asio::const_buffer;

        template <bool is_request, class Fields>
        writer(http::header<is_request, Fields> const&, value_type const& body) : body_(body) {}

        void init(error_code& ec) { ec.clear(); }

        boost::optional<std::pair<const_buffers_type, bool>> get(error_code& ec) {
            ec.clear();
            if (next_ == body_.pieces.size()) {
                ec = body_.failure;
                return boost::none;
            }
            auto const& piece = body_.pieces[next_++];
            bool const more = next_ != body_.pieces.size() || body_.end_with_none || body_.failure;
            return {{asio::buffer(piece), more}};
        }

    private:
        value_type const& body_;
        std::size_t next_ = 0;
    };
};

/// A file that is removed at the end.
class temporary_file {
public:
    explicit temporary_file(std::string const& bytes)
        : path_(std::filesystem::temp_directory_path() / ("idempo-captured-" + std::to_string(::getpid()))) {
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file() { std::filesystem::remove(path_); }

    [[nodiscard]] http::response<http::file_body> response() const {
        http::response<http::file_body> response(http::status::ok, 11);
        error_code ec;
        response.body().open(path_.c_str(), beast::file_mode::scan, ec);
        REQUIRE_FALSE(ec);
        response.set(http::field::content_type, "text/plain");
        return response;
    }

    void cut(std::size_t size) const { std::filesystem::resize_file(path_, size); }

private:
    std::filesystem::path path_;
};

std::string some_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
    return bytes;
}

http::response<http::string_body> string_response(std::string body) {
    http::response<http::string_body> response(http::status::created, 11);
    response.set(http::field::content_type, "text/plain");
    response.insert("Link", "one");
    response.insert("Link", "two");
    response.body() = std::move(body);
    return response;
}

http::response<pieces_body> pieces_response(pieces_body::value_type body) {
    http::response<pieces_body> response(http::status::ok, 11);
    response.set(http::field::content_type, "text/plain");
    response.body() = std::move(body);
    return response;
}

std::vector<std::string> many_pieces(std::size_t count, std::size_t size) {
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < count; ++i) pieces.push_back(some_bytes(size + i % 7));
    return pieces;
}

std::string joined(std::vector<std::string> const& pieces) {
    std::string all;
    for (auto const& piece : pieces) all += piece;
    return all;
}

/// What the client sees.
struct transmission {
    std::string bytes;
    error_code ec;
};

/// What a generator has to send, taken from it without a socket.
transmission bytes_of(http::message_generator generator) {
    transmission sent;
    while (!generator.is_done()) {
        auto const buffers = generator.prepare(sent.ec);
        if (sent.ec || generator.is_done()) break;
        sent.bytes += beast::buffers_to_string(buffers);
        generator.consume(beast::buffer_bytes(buffers));
    }
    return sent;
}

std::string read_all(asio::local::stream_protocol::socket socket) {
    std::string bytes;
    error_code ec;
    asio::read(socket, asio::dynamic_buffer(bytes), ec);
    return bytes;
}

transmission write_to_socket(http::message_generator generator) {
    asio::io_context context;
    asio::local::stream_protocol::socket server(context);
    asio::local::stream_protocol::socket client(context);
    asio::local::connect_pair(server, client);
    transmission sent;
    std::thread reader([&] { sent.bytes = read_all(std::move(client)); });
    beast::write(server, std::move(generator), sent.ec);
    server.close();
    reader.join();
    return sent;
}

transmission async_write_to_stream(http::message_generator generator) {
    using tcp = asio::ip::tcp;
    asio::io_context context;
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    tcp::socket client(context);
    client.connect(acceptor.local_endpoint());
    beast::tcp_stream server(acceptor.accept());
    transmission sent;
    asio::async_read(client, asio::dynamic_buffer(sent.bytes), [](error_code const&, std::size_t) {});
    beast::async_write(server, std::move(generator), [&](error_code ec, std::size_t) {
        sent.ec = ec;
        server.close();
    });
    context.run();
    return sent;
}

/// `make` makes the same generator again and again; what comes out of a captured one is what would have come out.
void check_passes_through(std::function<http::message_generator()> const& make, std::size_t limit) {
    auto const expected = bytes_of(make());
    auto const keep_alive = make().keep_alive();
    for (auto const send : {bytes_of, write_to_socket, async_write_to_stream}) {
        auto generator = captured_generator(make(), limit).release();
        CHECK(generator.keep_alive() == keep_alive);
        auto const sent = send(std::move(generator));
        CHECK(sent.bytes.size() == expected.bytes.size());
        CHECK((sent.bytes == expected.bytes));
        CHECK(sent.ec == expected.ec);
    }
}

stored_response decoded(std::optional<idempo::shared_bytes> const& record) {
    REQUIRE(record);
    error_code ec;
    auto stored = stored_response::decode(*record, ec);
    REQUIRE_FALSE(ec);
    return stored;
}

void check_stored_as(std::function<http::message_generator()> const& make, unsigned status, std::string_view body) {
    captured_generator const captured(make(), max_body);
    CHECK(captured.status() == status);
    auto const stored = decoded(captured.record({}));
    CHECK(stored.status() == status);
    CHECK((stored.body() == body));
    CHECK(stored.field("Content-Type") == "text/plain");
    CHECK(stored.field("Transfer-Encoding").empty());
}

}  // namespace

TEST_CASE("captured_response: a response in memory is held without a copy and given back", "[captured_response]") {
    auto response = string_response(some_bytes(1000));
    response.prepare_payload();
    auto const* const body = response.body().data();
    auto const expected = idempo::make_record(response, {});
    REQUIRE(expected);

    captured_response<http::response<http::string_body>> captured(std::move(response), max_body);
    CHECK(captured.status() == 201);
    auto const record = captured.record({});
    REQUIRE(record);
    CHECK(record->view() == expected->view());
    capture_policy policy;
    policy.max_body = 999;
    CHECK_FALSE(captured.record(policy));

    auto const released = std::move(captured).release();
    CHECK(released.body().data() == body);
    CHECK(released.count("Link") == 2);
}

TEST_CASE("captured_response: a generator of any kind of body is stored and passed through", "[captured_response]") {
    auto const text = some_bytes(3000);
    auto const check = [](auto const& make, unsigned status, std::string_view body) {
        check_passes_through(make, max_body);
        check_stored_as(make, status, body);
    };

    SECTION("string") {
        check(
            [&] {
                auto response = string_response(text);
                response.prepare_payload();
                return response;
            },
            201, text);
    }
    SECTION("chunked string") {
        check(
            [&] {
                auto response = string_response(text);
                response.chunked(true);
                return response;
            },
            201, text);
    }
    SECTION("string that ends with the connection") {
        check(
            [&] {
                auto response = string_response(text);
                response.version(10);
                return response;
            },
            201, text);
    }
    SECTION("string that ends with the connection, in HTTP/1.1") {
        check([&] { return string_response(text); }, 201, text);
    }
    SECTION("empty string") {
        check(
            [&] {
                auto response = string_response("");
                response.prepare_payload();
                return response;
            },
            201, "");
    }
    SECTION("204") {
        check(
            [] {
                http::response<http::empty_body> response(http::status::no_content, 11);
                response.set(http::field::content_type, "text/plain");
                response.prepare_payload();
                return response;
            },
            204, "");
    }
    SECTION("a multi buffer of more pieces than Beast hands out at once") {
        auto const pieces = many_pieces(40, 500);
        check(
            [&] {
                http::response<http::basic_dynamic_body<beast::multi_buffer>> response(http::status::ok, 11);
                response.set(http::field::content_type, "text/plain");
                for (auto const& piece : pieces) {
                    response.body().commit(
                        asio::buffer_copy(response.body().prepare(piece.size()), asio::buffer(piece)));
                }
                response.keep_alive(false);
                response.prepare_payload();
                return response;
            },
            200, joined(pieces));
    }
    SECTION("pieces, of which the last says so") {
        check([&] { return pieces_response({many_pieces(40, 500), false, {}}); }, 200, joined(many_pieces(40, 500)));
    }
    SECTION("pieces, ended by none") {
        check([&] { return pieces_response({many_pieces(40, 500), true, {}}); }, 200, joined(many_pieces(40, 500)));
    }
    SECTION("chunked pieces") {
        auto const end_with_none = GENERATE(false, true);
        check(
            [&] {
                auto response = pieces_response({many_pieces(40, 500), end_with_none, {}});
                response.chunked(true);
                return response;
            },
            200, joined(many_pieces(40, 500)));
    }
    SECTION("no piece at all") {
        check([] { return pieces_response({}); }, 200, "");
    }
}

TEST_CASE("captured_response: a file is stored and passed through, by itself and as a generator",
          "[captured_response]") {
    auto const text = some_bytes(300'000);
    temporary_file const file(text);
    auto const chunked = GENERATE(false, true);
    auto const make = [&] {
        auto response = file.response();
        if (chunked)
            response.chunked(true);
        else
            response.prepare_payload();
        return response;
    };
    check_passes_through(make, max_body);
    check_stored_as(make, 200, text);

    captured_response<http::response<http::file_body>> captured(make(), max_body);
    CHECK((decoded(captured.record({})).body() == text));
    CHECK((bytes_of(std::move(captured).release()).bytes == bytes_of(make()).bytes));
}

TEST_CASE("captured_response: an empty file is stored", "[captured_response]") {
    temporary_file const file("");
    auto const make = [&] {
        auto response = file.response();
        response.prepare_payload();
        return response;
    };
    check_passes_through(make, max_body);
    check_stored_as(make, 200, "");
}

TEST_CASE("captured_response: a generator past the limit passes whole and is not stored", "[captured_response]") {
    constexpr std::size_t limit = 1000;
    auto const size = GENERATE(allowance + limit, 2 * allowance, std::size_t{1} << 20);
    auto const text = some_bytes(size);
    auto const check = [&](auto const& make) {
        check_passes_through(make, limit);
        captured_generator const captured(make(), limit);
        CHECK((captured.status() == 200 || captured.status() == 201));
        CHECK_FALSE(captured.record({}));
    };

    SECTION("string") {
        check([&] {
            auto response = string_response(text);
            response.prepare_payload();
            return response;
        });
    }
    SECTION("chunked string") {
        check([&] {
            auto response = string_response(text);
            response.chunked(true);
            return response;
        });
    }
    SECTION("file") {
        temporary_file const file(text);
        auto const chunked = GENERATE(false, true);
        check([&] {
            auto response = file.response();
            response.chunked(chunked);
            if (!chunked) response.prepare_payload();
            return response;
        });
    }
    SECTION("pieces") {
        auto const end_with_none = GENERATE(false, true);
        auto const chunked = GENERATE(false, true);
        check([&] {
            auto response = pieces_response({many_pieces(size / 100, 100), end_with_none, {}});
            response.chunked(chunked);
            return response;
        });
    }
    SECTION("pieces, then an error") {
        check([&] { return pieces_response({many_pieces(size / 100, 100), false, http::error::bad_value}); });
    }
}

TEST_CASE("captured_response: draining stops at every possible byte without a trace", "[captured_response]") {
    // The limit falls into the head, between and into pieces, into chunk sizes and behind the end.
    auto const make = [] {
        auto response = pieces_response({{std::string(allowance, 'x'), "12345", "678"}, true, {}});
        response.chunked(true);
        return response;
    };
    auto const expected = bytes_of(make()).bytes;
    std::size_t storable = 0;
    for (std::size_t limit = 0; limit < expected.size() - allowance + 3; ++limit) {
        captured_generator captured(make(), limit);
        if (captured.record({})) ++storable;
        if (bytes_of(std::move(captured).release()).bytes != expected) FAIL("limit " << limit);
    }
    CHECK(storable == 3);
}

TEST_CASE("captured_response: a body between the limit and the allowance is drained, but not stored",
          "[captured_response]") {
    captured_generator const captured(string_response(some_bytes(2000)), 1000);
    capture_policy policy;
    policy.max_body = 1000;
    CHECK_FALSE(captured.record(policy));
    policy.max_body = 2000;
    CHECK(captured.record(policy));
}

TEST_CASE("captured_response: an unlimited body is drained whole", "[captured_response]") {
    capture_policy policy;
    policy.max_body = static_cast<std::size_t>(-1);
    captured_generator const captured(string_response(some_bytes(3'000'000)), policy.max_body);
    CHECK(decoded(captured.record(policy)).body().size() == 3'000'000);
}

TEST_CASE("captured_response: an error of the generator is passed on at its place, and nothing is stored",
          "[captured_response]") {
    auto const check = [](auto const& make, std::optional<unsigned> status) {
        REQUIRE(bytes_of(make()).ec);
        check_passes_through(make, max_body);
        captured_generator const captured(make(), max_body);
        CHECK(captured.status() == status);
        CHECK_FALSE(captured.record({}));
    };
    SECTION("after some pieces") {
        auto const chunked = GENERATE(false, true);
        check(
            [&] {
                auto response = pieces_response({many_pieces(5, 100), false, http::error::bad_value});
                response.chunked(chunked);
                return response;
            },
            200);
    }
    SECTION("before the first byte") {
        check([] { return pieces_response({{}, false, http::error::bad_value}); }, std::nullopt);
    }
    SECTION("a file that was cut while it was read") {
        temporary_file const file(some_bytes(300'000));
        auto response = file.response();
        response.prepare_payload();
        file.cut(100'000);
        captured_generator captured(std::move(response), max_body);
        CHECK(captured.status() == 200);
        CHECK_FALSE(captured.record({}));
        auto const sent = write_to_socket(std::move(captured).release());
        CHECK(sent.ec == http::error::short_read);
        CHECK(sent.bytes.size() > 100'000);
        CHECK(sent.bytes.size() < 101'000);
    }
}

TEST_CASE("captured_response: keep_alive of the generator is kept", "[captured_response]") {
    auto const version = GENERATE(10U, 11U);
    auto const keep_alive = GENERATE(false, true);
    check_passes_through(
        [&] {
            auto response = string_response("body");
            response.version(version);
            response.keep_alive(keep_alive);
            response.prepare_payload();
            return response;
        },
        max_body);
}

TEST_CASE("captured_response: other bytes than one whole response are passed through and not stored",
          "[captured_response]") {
    auto const check = [](auto const& make, std::optional<unsigned> status) {
        check_passes_through(make, max_body);
        captured_generator const captured(make(), max_body);
        constexpr unsigned unknown_status = 500;  // of what has no status line
        CHECK(captured.status().value_or(unknown_status) == status);
        CHECK_FALSE(captured.record({}));
    };
    SECTION("a request") {
        check([] { return http::request<http::string_body>(http::verb::post, "/", 11, "body"); }, 500);
    }
    SECTION("a body shorter than its length") {
        check(
            [] {
                auto response = string_response("short");
                response.content_length(10);
                return response;
            },
            201);
    }
    SECTION("a value with a control character") {
        check(
            [] {
                auto response = string_response("body");
                response.set("X", "a\x01z");
                response.prepare_payload();
                return response;
            },
            201);
    }
    SECTION("a value on two lines") {
        check(
            [] {
                auto response = string_response("body");
                response.set("X", "one\r\n two");
                response.prepare_payload();
                return response;
            },
            201);
    }
    SECTION("101") {
        check([] { return http::response<http::empty_body>(http::status::switching_protocols, 11); }, 101);
    }
    SECTION("nothing at all") {
        check([] { return idempo::detail::make_raw_response({}, true); }, 500);
    }
    SECTION("something behind the response") {
        check(
            [] {
                auto response = string_response("body, and more");
                response.content_length(4);
                return response;
            },
            201);
    }
}

TEST_CASE("captured_response: a captured generator can be moved before it is read", "[captured_response]") {
    auto const text = some_bytes(500);
    auto response = string_response(text);
    response.prepare_payload();
    std::vector<captured_generator> moved;
    moved.emplace_back(std::move(response), max_body);
    auto captured = std::move(moved.front());
    moved.clear();
    CHECK(captured.status() == 201);
    auto const stored = decoded(captured.record({}));
    CHECK((stored.body() == text));
    CHECK(stored.reason() == "Created");
    CHECK(stored.field("Link") == "one");
}

TEST_CASE("captured_response: a generator and the response in it have the same record", "[captured_response]") {
    auto response = string_response(some_bytes(100));
    response.set(http::field::connection, "close, X-Gone");
    response.set("X-Gone", "1");
    response.set(http::field::set_cookie, "a=1");
    response.reason("Made");
    response.prepare_payload();
    capture_policy policy;
    policy.store_set_cookie = GENERATE(false, true);
    auto const expected = idempo::make_record(response, policy);
    REQUIRE(expected);

    using idempo::detail::completed_reply;
    captured_response<completed_reply> completed(completed_reply{response}, max_body);
    CHECK(completed.record(policy)->view() == expected->view());
    CHECK(std::get<0>(std::move(completed).release().reply).body() == response.body());

    captured_generator const captured(std::move(response), max_body);
    for (int times = 0; times < 2; ++times) {
        auto const record = captured.record(policy);
        REQUIRE(record);
        CHECK(record->view() == expected->view());
    }
}
