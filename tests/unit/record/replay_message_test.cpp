// SPDX-License-Identifier: MIT

// A replay as a generator is, byte for byte, the replay that make_replay returns.

#include <idempo/record/replay_message.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <idempo/record/captured_generator.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using idempo::error_code;
using idempo::stored_response;
using idempo::detail::make_replay_message;
using idempo::detail::response_fields;

constexpr std::string_view marker = "Idempotency-Replayed";

text_response sample() {
    text_response response(http::status::created, 11);
    response.set(http::field::content_type, "application/json");
    response.insert("Link", "</1>; rel=prev");
    response.insert("Link", "</3>; rel=next");
    response.body() = R"({"id":17})";
    return response;
}

stored_response stored(text_response const& response) {
    auto const record = idempo::make_record(response, {});
    REQUIRE(record);
    error_code error;
    auto read = stored_response::decode(*record, error);
    REQUIRE_FALSE(error);
    return read;
}

std::vector<std::pair<std::string, stored_response>> samples() {
    std::vector<std::pair<std::string, stored_response>> all;
    auto const add = [&all](std::string name, auto change) {
        auto response = sample();
        change(response);
        all.emplace_back(std::move(name), stored(response));
    };
    add("a sample", [](text_response&) {});
    add("no body", [](text_response& response) { response.body().clear(); });
    add("no field", [](text_response& response) { response.clear(); });
    add("a large body", [](text_response& response) { response.body().assign(300'000, 'x'); });
    add("a reason of its own", [](text_response& response) { response.reason("Done"); });
    add("a status without a reason", [](text_response& response) { response.result(299U); });
    add("no content", [](text_response& response) { response.result(204U); });
    add("not modified", [](text_response& response) { response.result(304U); });
    add("an empty value", [](text_response& response) { response.set("X-Empty", ""); });
    add("a marker", [](text_response& response) { response.set("idempotency-replayed", "false"); });
    add("many fields", [](text_response& response) {
        for (int i = 0; i < 200; ++i) response.set("X-" + std::to_string(i), std::string(100, 'v'));
    });
    return all;
}

}  // namespace

TEST_CASE("replay_message: its bytes are those of make_replay", "[replay_message]") {
    auto const version = GENERATE(10U, 11U);
    bool const keep_alive = GENERATE(false, true);
    auto const name = GENERATE(std::string_view(), marker);
    for (auto const& [what, read] : samples()) {
        CAPTURE(what, version, keep_alive, name);
        auto message = make_replay_message(read, version, keep_alive, name, "true");
        CHECK(message.keep_alive() == keep_alive);
        CHECK(bytes_of(std::move(message)) ==
              bytes_of(http::message_generator(idempo::make_replay(read, version, keep_alive, name, "true"))));
    }
}

TEST_CASE("replay_message: fields are applied to its head", "[replay_message]") {
    response_fields fields;
    fields.set("content-type", "text/plain");
    fields.add("Link", "</9>");
    fields.set("X-Key", "k");
    auto const read = stored(sample());
    auto const bytes = bytes_of(make_replay_message(read, 11, true, marker, "true", fields));
    CHECK(bytes ==
          "HTTP/1.1 201 Created\r\nLink: </1>; rel=prev\r\nLink: </3>; rel=next\r\nIdempotency-Replayed: true\r\n"
          "Content-Length: 9\r\ncontent-type: text/plain\r\nLink: </9>\r\nX-Key: k\r\n\r\n"
          R"({"id":17})");
}

TEST_CASE("replay_message: its body is not copied, and is kept until it is sent", "[replay_message]") {
    auto large = sample();
    large.body().assign(300'000, 'x');
    auto read = std::optional(stored(large));
    char const* const place = read->body().data();
    auto message = make_replay_message(*read, 11, true, marker, "true");
    read.reset();

    error_code error;
    std::size_t pieces = 0;
    char const* sent = nullptr;
    for (auto const& piece : message.prepare(error)) {
        ++pieces;
        sent = static_cast<char const*>(piece.data());
    }
    CHECK_FALSE(error);
    CHECK(pieces == 2);
    CHECK(sent == place);
    CHECK(bytes_of(std::move(message)).ends_with("\r\n\r\n" + large.body()));
}

TEST_CASE("replay_message: an outer layer can make a record of it", "[replay_message]") {
    auto const read = stored(sample());
    idempo::detail::captured_generator captured(make_replay_message(read, 11, true, marker, "true"), 1000);
    CHECK(captured.status() == 201U);
    auto const record = captured.record({});
    REQUIRE(record);
    error_code error;
    CHECK(stored_response::decode(*record, error).body() == sample().body());
    CHECK_FALSE(error);
}
