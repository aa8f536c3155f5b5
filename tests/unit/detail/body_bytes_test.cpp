// SPDX-License-Identifier: MIT
#include <idempo/detail/body_bytes.hpp>

#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/vector_body.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using idempo::detail::body_size;
using idempo::detail::in_memory_body;
using idempo::detail::visit_body;

template <class Message>
std::vector<std::string> pieces_of(Message const& message) {
    std::vector<std::string> pieces;
    visit_body(message, [&pieces](std::string_view piece) { pieces.emplace_back(piece); });
    return pieces;
}

void append(beast::multi_buffer& buffer, std::string_view bytes) {
    buffer.commit(asio::buffer_copy(buffer.prepare(bytes.size()), asio::buffer(bytes.data(), bytes.size())));
}

static_assert(in_memory_body<http::string_body>);
static_assert(in_memory_body<http::vector_body<std::uint8_t>>);
static_assert(in_memory_body<http::span_body<char const>>);
static_assert(in_memory_body<http::dynamic_body>);
static_assert(in_memory_body<http::basic_dynamic_body<beast::flat_static_buffer<64>>>);
static_assert(in_memory_body<http::empty_body>);
static_assert(!in_memory_body<http::file_body>);
static_assert(!in_memory_body<http::buffer_body>);
static_assert(!in_memory_body<std::string>);

}  // namespace

TEST_CASE("body_bytes: the bytes of a body are found in every kind of body that is in memory", "[body_bytes]") {
    SECTION("string, of a request") {
        http::request<http::string_body> request(http::verb::post, "/", 11);
        request.body().assign("ab\0c", 4);
        CHECK(body_size(request) == 4);
        CHECK(pieces_of(request) == std::vector{std::string("ab\0c", 4)});
    }
    SECTION("vector, of a response") {
        http::response<http::vector_body<std::uint8_t>> response;
        response.body() = {0xFF, 0x00, 0x41};
        CHECK(body_size(response) == 3);
        CHECK(pieces_of(response) == std::vector{std::string("\xFF\0A", 3)});
    }
    SECTION("span") {
        std::string const bytes = "not copied";
        http::response<http::span_body<char const>> response;
        response.body() = {bytes.data(), bytes.size()};
        visit_body(response, [&bytes](std::string_view piece) { CHECK(piece.data() == bytes.data()); });
        CHECK(body_size(response) == bytes.size());
    }
    SECTION("span of larger elements counts bytes") {
        std::array<std::uint32_t, 3> words{1, 2, 3};
        http::response<http::span_body<std::uint32_t>> response;
        response.body() = {words.data(), words.size()};
        CHECK(body_size(response) == 12);
    }
    SECTION("flat buffer") {
        http::request<http::basic_dynamic_body<beast::flat_buffer>> request;
        asio::buffer_copy(request.body().prepare(4), asio::buffer("flat", 4));
        request.body().commit(4);
        CHECK(pieces_of(request) == std::vector<std::string>{"flat"});
    }
    SECTION("multi buffer, in its pieces") {
        http::response<http::dynamic_body> response;
        std::string expected;
        for (int i = 0; i < 40; ++i) {
            std::string const bytes(300, static_cast<char>('a' + i % 26));
            append(response.body(), bytes);
            expected += bytes;
        }
        auto const pieces = pieces_of(response);
        CHECK(pieces.size() > 1);
        std::string joined;
        for (auto const& piece : pieces) joined += piece;
        CHECK(joined == expected);
        CHECK(body_size(response) == expected.size());
    }
}

TEST_CASE("body_bytes: an empty body has no pieces", "[body_bytes]") {
    CHECK(pieces_of(http::request<http::empty_body>{}).empty());
    CHECK(pieces_of(http::request<http::string_body>{}).empty());
    CHECK(pieces_of(http::response<http::dynamic_body>{}).empty());
    CHECK(pieces_of(http::response<http::vector_body<char>>{}).empty());
    CHECK(pieces_of(http::response<http::span_body<char>>{}).empty());
    CHECK(body_size(http::request<http::empty_body>{}) == 0);
}
