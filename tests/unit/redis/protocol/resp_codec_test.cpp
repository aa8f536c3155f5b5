// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/protocol/resp_codec.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

using namespace idempo::redis;
using namespace std::string_view_literals;

namespace {

constexpr auto three_replies = "+OK\r\n*3\r\n$2\r\n\0\r\r\n:42\r\n$-1\r\n-ERR no\r\n"sv;

void check_three(reply_reader& reader) {
    auto const status = reader.next();
    REQUIRE(status);
    CHECK(reply_view(status.get()).text() == "OK");
    CHECK_FALSE(reply_view(status.get()).is_string());
    auto const array = reader.next();
    REQUIRE(array);
    reply_view const elements(array.get());
    REQUIRE(elements.size() == 3);
    CHECK(elements[0].text() == "\0\r"sv);
    CHECK(elements[1].integer() == 42);
    CHECK(elements[2].is_nil());
    CHECK_FALSE(elements[3].is_nil());
    auto const failure = reader.next();
    REQUIRE(failure);
    CHECK(reply_view(failure.get()).is_error());
    CHECK(reply_view(failure.get()).text() == "ERR no");
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.is_broken());
}

}  // namespace

TEST_CASE("resp: a command is an array of bulk strings, whatever bytes they have") {
    std::string text = "before";
    append_command(text, {"SET", "\0\r\n"sv, ""});
    CHECK(text == "before*3\r\n$3\r\nSET\r\n$3\r\n\0\r\n\r\n$0\r\n\r\n"sv);
}

TEST_CASE("resp: a command may have any number of words") {
    std::vector<std::string_view> const words(300, "k");
    std::string text;
    append_command(text, words);
    CHECK(text.starts_with("*300\r\n$1\r\nk\r\n$1\r\nk\r\n"));
    CHECK(text.size() == std::string_view("*300\r\n").size() + 300 * std::string_view("$1\r\nk\r\n").size());
}

TEST_CASE("resp: replies are read wherever they are cut") {
    for (std::size_t cut = 0; cut <= three_replies.size(); ++cut) {
        CAPTURE(cut);
        reply_reader reader;
        reader.feed(three_replies.substr(0, cut));
        reader.feed(three_replies.substr(cut));
        check_three(reader);
    }
}

TEST_CASE("resp: replies are read byte by byte") {
    reply_reader reader;
    std::size_t count = 0;
    for (char const byte : three_replies) {
        reader.feed({&byte, 1});
        while (reader.next()) ++count;
    }
    CHECK(count == 3);
}

TEST_CASE("resp: input that is not RESP2 breaks the reader for good") {
    for (std::string_view const bytes : {"HTTP/1.1 400 Bad Request\r\n", "*-2\r\n", "$-5\r\n", ":x1\r\n", "*1025\r\n",
                                         "*2147483647\r\n", "*99999999999\r\n", "*1\r\n*1\r\n*1000000\r\n"}) {
        CAPTURE(bytes);
        reply_reader reader;
        reader.feed(bytes);
        CHECK_FALSE(reader.next());
        CHECK(reader.is_broken());
        reader.feed("+OK\r\n");
        CHECK_FALSE(reader.next());
    }
}

TEST_CASE("resp: large replies are read") {
    std::string const large(3'000'000, 'r');
    reply_reader reader;
    reader.feed("$3000000\r\n");
    for (std::size_t at = 0; at < large.size(); at += 65'536) reader.feed(std::string_view(large).substr(at, 65'536));
    CHECK_FALSE(reader.next());
    reader.feed("\r\n+OK\r\n");
    auto const found = reader.next();
    REQUIRE(found);
    CHECK(reply_view(found.get()).text() == large);
    CHECK(reader.next());
}

TEST_CASE("resp: a missing reply is empty") {
    reply_view const none(nullptr);
    CHECK_FALSE(none.is_nil());
    CHECK_FALSE(none.is_error());
    CHECK(none.text().empty());
    CHECK(none.integer() == -1);
    CHECK(none.size() == 0);
    CHECK(none[0].size() == 0);
}
