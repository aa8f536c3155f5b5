// SPDX-License-Identifier: MIT
#include <idempo/identifiers.hpp>
#include <idempo/record/record_format.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/store.hpp>

#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/http/write.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using idempo::capture_policy;
using idempo::error_code;
using idempo::make_record;
using idempo::make_replay;
using idempo::make_tombstone;
using idempo::shared_bytes;
using idempo::stored_response;

using string_response = http::response<http::string_body>;
using field_vector = std::vector<std::pair<std::string, std::string>>;

static_assert(std::ranges::forward_range<idempo::stored_fields>);

constexpr std::string_view sample_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

string_response sample_response() {
    string_response response(http::status::created, 11);
    response.set(http::field::content_type, "application/json");
    response.insert("Link", "</1>; rel=prev");
    response.insert("Link", "</3>; rel=next");
    response.body() = R"({"id":17})";
    response.prepare_payload();
    return response;
}

stored_response decoded(shared_bytes record) {
    error_code ec = idempo::error::store_full;
    auto stored = stored_response::decode(std::move(record), ec);
    REQUIRE_FALSE(ec);
    return stored;
}

bool is_unreadable(std::string_view record) {
    error_code ec;
    auto const stored = stored_response::decode(shared_bytes(record), ec);
    CHECK((!ec || (!stored.retained() && stored.status() == 0 && stored.body().empty())));
    return ec == idempo::error::record_unreadable;
}

template <class Response>
stored_response stored(Response const& response, capture_policy const& policy = {}) {
    auto record = make_record(response, policy);
    REQUIRE(record);
    return decoded(*record);
}

field_vector fields_of(stored_response const& stored) {
    field_vector fields;
    for (auto const& [name, value] : stored.fields()) fields.emplace_back(name, value);
    return fields;
}

template <class Response>
field_vector fields_of_message(Response const& response) {
    field_vector fields;
    for (auto const& field : response.base()) fields.emplace_back(field.name_string(), field.value());
    return fields;
}

string_response replay_of(stored_response const& stored, unsigned version = 11, bool keep_alive = true) {
    return make_replay(stored, version, keep_alive, "Idempotency-Replayed", "true");
}

std::string serialised(string_response const& response) {
    std::ostringstream out;
    out << response;
    return out.str();
}

/// The response which `bytes` are, all of them.
string_response parsed(std::string const& bytes) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    error_code ec;
    auto const used = parser.put(asio::buffer(bytes), ec);
    INFO(bytes);
    REQUIRE_FALSE(ec);
    REQUIRE(parser.is_done());
    REQUIRE(used == bytes.size());
    return parser.release();
}

/// `record` with other bytes at `offset`, and the checksum of somebody who knows how it is made.
std::string forged(std::string record, std::size_t offset, std::string_view bytes) {
    record.replace(offset, bytes.size(), bytes);
    idempo::detail::seal_record(record.data(), record.size());
    return record;
}

std::string hex(std::string_view bytes) { return idempo::to_hex(bytes); }

}  // namespace

TEST_CASE("stored_response: a record gives status, reason, fields in order and body", "[stored_response]") {
    auto response = sample_response();
    response.reason("Made");
    auto const read = stored(response);
    CHECK(read.retained());
    CHECK(read.status() == 201);
    CHECK(read.reason() == "Made");
    CHECK(read.body() == R"({"id":17})");
    CHECK(fields_of(read) ==
          field_vector{{"Content-Type", "application/json"}, {"Link", "</1>; rel=prev"}, {"Link", "</3>; rel=next"}});
    CHECK(read.field("link") == "</1>; rel=prev");
    CHECK(read.field("CONTENT-TYPE") == "application/json");
    CHECK(read.field("Content-Typ").empty());
}

TEST_CASE("stored_response: the views of a decoded record outlive every other handle of it", "[stored_response]") {
    stored_response copy;
    {
        auto record = make_record(sample_response(), {});
        REQUIRE(record);
        auto const original = decoded(std::move(*record));
        copy = original;
    }
    CHECK(copy.body() == R"({"id":17})");
    CHECK(fields_of(copy).size() == 3);
}

TEST_CASE("stored_response: the bytes of version 1 are fixed", "[stored_response]") {
    // A change here makes every stored record unreadable: it needs a new version, and the old one has to be kept.
    auto const record = make_record(sample_response(), {});
    REQUIRE(record);
    CHECK(hex(record->view()) == "0100c900070003000900000043726561746564"
                                 "0c001000436f6e74656e742d547970656170706c69636174696f6e2f6a736f6e"
                                 "04000e004c696e6b3c2f313e3b2072656c3d70726576"
                                 "04000e004c696e6b3c2f333e3b2072656c3d6e657874"
                                 "7b226964223a31377d"
                                 "8e259a2e27a86ba2");
    CHECK(hex(make_tombstone(504).view()) == "0101f80100000000"
                                             "00000000"
                                             "c47fb9c686a5b1c2");
}

TEST_CASE("stored_response: a tombstone keeps the status and nothing else", "[stored_response]") {
    auto const status = GENERATE(0U, 101U, 200U, 504U, 999U);
    auto const record = make_tombstone(status);
    CHECK(record.size() <= idempo::small_record_bytes);
    auto const read = decoded(record);
    CHECK_FALSE(read.retained());
    CHECK(read.status() == status);
    CHECK(read.reason().empty());
    CHECK(read.body().empty());
    CHECK(fields_of(read).empty());
    CHECK(read.field("Content-Type").empty());
}

TEST_CASE("stored_response: a tombstone of no possible status is still readable", "[stored_response]") {
    CHECK(decoded(make_tombstone(std::numeric_limits<unsigned>::max())).status() == 999);
}

TEST_CASE("stored_response: every kind of body gives the same record", "[stored_response]") {
    std::string const bytes = "bytes of any value\0\r\n\xFF, and more" + std::string(5000, 'x');
    string_response expected;
    expected.body() = bytes;
    auto const record = make_record(expected, {});
    REQUIRE(record);

    auto const check = [&record](auto const& response) {
        auto const other = make_record(response, {});
        REQUIRE(other);
        CHECK(other->view() == record->view());
    };
    http::response<http::vector_body<std::uint8_t>> vector;
    vector.body().assign(bytes.begin(), bytes.end());
    check(vector);
    http::response<http::span_body<char const>> span;
    span.body() = {bytes.data(), bytes.size()};
    check(span);
    http::response<http::basic_dynamic_body<beast::flat_buffer>> flat;
    flat.body().commit(asio::buffer_copy(flat.body().prepare(bytes.size()), asio::buffer(bytes)));
    check(flat);
    http::response<http::dynamic_body> multi;
    for (std::size_t i = 0; i < bytes.size(); i += 100) {
        auto const piece = asio::buffer(bytes) + i;
        auto const size = std::min<std::size_t>(piece.size(), 100);
        multi.body().commit(asio::buffer_copy(multi.body().prepare(size), piece, size));
    }
    check(multi);
}

TEST_CASE("stored_response: an empty body is kept as an empty body", "[stored_response]") {
    auto const read = stored(http::response<http::empty_body>(http::status::ok, 11));
    CHECK(read.retained());
    CHECK(read.body().empty());
    CHECK(replay_of(read)[http::field::content_length] == "0");
}

TEST_CASE("stored_response: fields of one connection or one moment are not kept", "[stored_response]") {
    auto const name = GENERATE(as<std::string>(), "Keep-Alive", "Proxy-Authenticate", "proxy-connection",
                               "Proxy-Anything", "TE", "Trailer", "Transfer-Encoding", "UPGRADE", "Content-Length",
                               "date", "Age", "Connection", "Set-Cookie", "set-cookie");
    string_response response;
    response.insert(name, "1");
    response.insert("X-Kept", "yes");
    CHECK(fields_of(stored(response)) == field_vector{{"X-Kept", "yes"}});
}

TEST_CASE("stored_response: Set-Cookie is kept when asked for, every one of them", "[stored_response]") {
    string_response response;
    response.insert(http::field::set_cookie, "a=1");
    response.insert(http::field::set_cookie, "b=2");
    capture_policy policy;
    policy.store_set_cookie = true;
    CHECK(fields_of(stored(response, policy)) == field_vector{{"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}});
}

TEST_CASE("stored_response: everything that Connection names is dropped", "[stored_response]") {
    string_response response;
    response.insert("X-One", "1");
    response.insert("Connection", "keep-alive,x-one , ,\tX-TWO\t");
    response.insert("X-Two", "2");
    response.insert("X-Two", "22");
    response.insert("Connection", "\"malformed, X-Three");
    response.insert("X-Three", "3");
    response.insert("X-Threefold", "kept");
    response.insert("X", "kept");
    auto const kept = field_vector{{"X-Threefold", "kept"}, {"X", "kept"}};
    CHECK(fields_of(stored(response)) == kept);

    capture_policy policy;
    policy.store_set_cookie = true;
    response.insert("Set-Cookie", "a=1");
    response.insert("Connection", "Set-Cookie");
    CHECK(fields_of(stored(response, policy)) == kept);
}

TEST_CASE("stored_response: only final responses of known classes are storable", "[stored_response]") {
    auto const [status, storable] = GENERATE(table<unsigned, bool>(
        {{101, false}, {199, false}, {200, true}, {299, true}, {404, true}, {599, true}, {600, false}, {999, false}}));
    string_response response;
    response.result(status);
    CHECK(make_record(response, {}).has_value() == storable);
}

TEST_CASE("stored_response: a body at the limit is storable, one over it is not", "[stored_response]") {
    capture_policy policy;
    policy.max_body = 10;
    string_response response;
    response.body() = std::string(10, 'x');
    CHECK(make_record(response, policy));
    response.body() += 'x';
    CHECK_FALSE(make_record(response, policy));
}

TEST_CASE("stored_response: each octet of a value is judged by itself, wherever it stands", "[stored_response]") {
    // Judged eight at a time, so that neighbours and places could matter.
    for (std::size_t size = 1; size <= 17; ++size) {
        for (std::size_t place = 0; place < size; ++place) {
            for (int octet = 0; octet < 256; ++octet) {
                for (char const other : {'a', '\t', '\xFF'}) {
                    std::string value(size, other);
                    value[place] = static_cast<char>(octet);
                    bool const is_text = (octet >= 0x20 && octet != 0x7F) || octet == '\t';
                    if (idempo::record_format::is_text(value) != is_text) FAIL(size << " " << place << " " << octet);
                }
            }
        }
    }
}

TEST_CASE("stored_response: fields that could split a response are not storable", "[stored_response]") {
    using namespace std::string_literals;
    auto const control = GENERATE("\r"s, "\n"s, "\r\nSet-Cookie: a"s, "\0"s, "\x01"s, "\x1F"s, "\x7F"s);
    string_response response;
    SECTION("in a value") {
        response.set("X", "ok" + control + "ok");
        CHECK_FALSE(make_record(response, {}));
    }
    SECTION("in a name") {
        response.set("X" + control + "Y", "ok");
        CHECK_FALSE(make_record(response, {}));
    }
    SECTION("in the reason") {
        response.reason("ok" + control + "ok");
        CHECK_FALSE(make_record(response, {}));
    }
    SECTION("in a field that is not stored anyway") {
        response.set(http::field::set_cookie, "ok" + control + "ok");
        CHECK(make_record(response, {}));
    }
}

TEST_CASE("stored_response: names have to be tokens", "[stored_response]") {
    auto const name = GENERATE(as<std::string>(), "", "A B", "A:", "A\"", "(A)", "\xC3\xA4", "A\t");
    string_response response;
    response.insert(name, "1");
    CHECK_FALSE(make_record(response, {}));
}

TEST_CASE("stored_response: tabs, non-ASCII and empty values are allowed", "[stored_response]") {
    string_response response;
    response.insert("!#$%&'*+-.^_`|~09azAZ", "a\tb \xC3\xA4\xFF");
    response.insert("X-Empty", "");
    CHECK(fields_of(stored(response)) == field_vector{{"!#$%&'*+-.^_`|~09azAZ", "a\tb \xC3\xA4\xFF"}, {"X-Empty", ""}});
}

TEST_CASE("stored_response: the longest fields that Beast holds are stored and replayed", "[stored_response]") {
    string_response response;
    response.insert(std::string(65533, 'n'), std::string(65533, 'v'));
    auto const read = stored(response);
    auto const replay = replay_of(read);
    CHECK(replay[std::string(65533, 'n')].size() == 65533);
}

TEST_CASE("stored_response: more fields than are common are stored", "[stored_response]") {
    string_response response;
    for (int i = 0; i < 300; ++i) response.insert("X-" + std::to_string(i), std::to_string(i));
    CHECK(fields_of(stored(response)) == fields_of_message(response));
    CHECK(fields_of_message(make_replay(stored(response), 11, true, "", "")).size() == 301);
}

TEST_CASE("stored_response: more fields than the format counts, or a longer reason, are not storable",
          "[stored_response]") {
    string_response response;
    SECTION("fields") {
        for (int i = 0; i < 65536; ++i) response.insert("A", "");
        CHECK_FALSE(make_record(response, {}));
    }
    SECTION("reason") {
        response.reason(std::string(65535, 'r'));
        CHECK(make_record(response, {}));
        response.reason(std::string(65536, 'r'));
        CHECK_FALSE(make_record(response, {}));
    }
}

TEST_CASE("stored_response: a record that was cut, flipped or extended is unreadable", "[stored_response]") {
    auto const made = GENERATE(0, 1) == 0 ? *make_record(sample_response(), {}) : make_tombstone(200);
    std::string const record(made.view());
    REQUIRE_FALSE(is_unreadable(record));

    for (std::size_t size = 0; size < record.size(); ++size) REQUIRE(is_unreadable(record.substr(0, size)));
    REQUIRE(is_unreadable(record + '\0'));
    REQUIRE(is_unreadable(record + record));
    for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
        INFO("bit " << bit);
        auto flipped = record;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        REQUIRE(is_unreadable(flipped));
    }
}

TEST_CASE("stored_response: two flipped bits are noticed", "[stored_response]") {
    std::string const record(make_tombstone(200).view());
    for (std::size_t first = 0; first < record.size() * 8; ++first)
        for (std::size_t second = 0; second < first; ++second) {
            auto flipped = record;
            for (auto const bit : {first, second})
                flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
            if (!is_unreadable(flipped)) FAIL("bits " << first << " and " << second);
        }
}

TEST_CASE("stored_response: a record with the right checksum is still checked", "[stored_response]") {
    using namespace std::string_literals;
    string_response response(http::status::ok, 11);
    response.insert("Name", "value");
    response.body() = "body";
    std::string const record(make_record(response, {})->view());
    // Offsets: reason "OK" at 12, the lengths of the field at 14 and 16, its name at 18, its value at 22, the body
    // at 27.
    REQUIRE(record.substr(18, 13) == "Namevaluebody");
    REQUIRE_FALSE(is_unreadable(forged(record, 18, "Mame")));

    CHECK(is_unreadable(forged(record, 0, "\0"s)));        // version
    CHECK(is_unreadable(forged(record, 0, "\2"s)));        // version
    CHECK(is_unreadable(forged(record, 1, "\1"s)));        // a tombstone with a body
    CHECK(is_unreadable(forged(record, 1, "\2"s)));        // kind
    CHECK(is_unreadable(forged(record, 2, "\x65\0"s)));    // 101
    CHECK(is_unreadable(forged(record, 2, "\x58\x02"s)));  // 600
    CHECK(is_unreadable(forged(record, 4, "\3"s)));        // reason longer
    CHECK(is_unreadable(forged(record, 4, "\xFF\xFF"s)));  // reason past the end
    CHECK(is_unreadable(forged(record, 6, "\0"s)));        // fewer fields
    CHECK(is_unreadable(forged(record, 6, "\2"s)));        // more fields
    CHECK(is_unreadable(forged(record, 6, "\xFF\xFF"s)));  // many more fields
    CHECK(is_unreadable(forged(record, 8, "\3"s)));        // shorter body
    CHECK(is_unreadable(forged(record, 8, "\5"s)));        // longer body
    CHECK(is_unreadable(forged(record, 8, "\xFF\xFF\xFF\xFF"s)));
    CHECK(is_unreadable(forged(record, 12, "\n"s)));        // reason
    CHECK(is_unreadable(forged(record, 14, "\0"s)));        // no name
    CHECK(is_unreadable(forged(record, 14, "\xFF\xFF"s)));  // name past the end
    CHECK(is_unreadable(forged(record, 16, "\xFF\xFF"s)));  // value past the end
    CHECK(is_unreadable(forged(record, 18, "Na e"s)));      // not a token
    CHECK(is_unreadable(forged(record, 22, "va\rue"s)));
    CHECK(is_unreadable(forged(record, 22, "va\nue"s)));
    CHECK(is_unreadable(forged(record, 22, "va\0ue"s)));
    CHECK(is_unreadable(forged(record, 22, "va\x7Fue"s)));

    std::string const tombstone(make_tombstone(999).view());
    CHECK(is_unreadable(forged(tombstone, 2, "\xE8\x03"s)));  // 1000
    CHECK(is_unreadable(forged(tombstone, 1, "\0"s)));        // a response of status 999
}

TEST_CASE("stored_response: a record cannot change where its replay ends", "[stored_response]") {
    string_response response;
    response.insert("Xontent-Length", "1");
    response.insert("Xransfer-Encoding", "chunked");
    std::string const record(make_record(response, {})->view());
    REQUIRE_FALSE(is_unreadable(record));
    CHECK(is_unreadable(forged(record, record.find("Xontent-"), "c")));
    CHECK(is_unreadable(forged(record, record.find("Xransfer-"), "T")));
}

TEST_CASE("stored_response: a record brings nothing of another connection", "[stored_response]") {
    // The first letter is another one until the record is made, which would leave the field out.
    for (std::string const name :
         {"Connection", "Keep-Alive", "Proxy-Authenticate", "TE", "Trailer", "Upgrade", "Content-Length"}) {
        INFO(name);
        string_response response;
        response.insert('X' + name.substr(1), "close");
        std::string const record(make_record(response, {})->view());
        REQUIRE_FALSE(is_unreadable(record));
        CHECK(is_unreadable(forged(record, record.find('X' + name.substr(1)), name)));
    }
}

TEST_CASE("stored_response: forged records are unreadable or replay as one message", "[stored_response]") {
    auto const seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    std::string const record(make_record(sample_response(), {})->view());
    int readable = 0;
    int unreadable = 0;
    for (int i = 0; i < 20000; ++i) {
        auto bytes = record;
        for (auto changes = 1 + random() % 3; changes != 0; --changes)
            bytes[random() % (bytes.size() - 8)] = static_cast<char>(random() % 256);
        idempo::detail::seal_record(bytes.data(), bytes.size());
        error_code ec;
        auto const read = stored_response::decode(shared_bytes(bytes), ec);
        if (ec || !read.retained()) {
            ++unreadable;
            continue;
        }
        ++readable;
        auto const bodiless = read.status() == 204 || read.status() == 304;
        if (parsed(serialised(replay_of(read))).body() != (bodiless ? "" : read.body())) FAIL(hex(bytes));
    }
    CHECK(readable > 500);
    CHECK(unreadable > 500);
}

TEST_CASE("stored_response: a replay is the response with the framing of the new request", "[stored_response]") {
    auto const original = sample_response();
    auto const read = stored(original);

    auto const replay = replay_of(read, 11, true);
    CHECK(replay.result_int() == 201);
    CHECK(replay.reason() == "Created");
    CHECK(replay.body() == original.body());
    CHECK(replay.version() == 11);
    CHECK(replay.keep_alive());
    CHECK(replay[http::field::content_length] == "9");
    CHECK(replay["Idempotency-Replayed"] == "true");
    CHECK(replay.count("Connection") == 0);

    CHECK_FALSE(replay_of(read, 11, false).keep_alive());
    CHECK(replay_of(read, 10, true).version() == 10);
    CHECK(replay_of(read, 10, true).keep_alive());
    CHECK_FALSE(replay_of(read, 10, false).keep_alive());
}

TEST_CASE("stored_response: a replay keeps a reason of its own and a status that Beast does not know",
          "[stored_response]") {
    string_response response;
    response.result(299);
    CHECK(replay_of(stored(response)).result_int() == 299);
    CHECK(serialised(replay_of(stored(response))).starts_with("HTTP/1.1 299 <unknown-status>\r\n"));
    response.reason("Odd");
    CHECK(serialised(replay_of(stored(response))).starts_with("HTTP/1.1 299 Odd\r\n"));
}

TEST_CASE("stored_response: a replay of 204 and 304 has no body and no length", "[stored_response]") {
    auto const status = GENERATE(http::status::no_content, http::status::not_modified);
    string_response response(status, 11);
    response.body() = "a mistake";
    auto const replay = replay_of(stored(response));
    CHECK(replay.body().empty());
    CHECK_FALSE(replay.has_content_length());
    CHECK(parsed(serialised(replay)).result() == status);
}

TEST_CASE("stored_response: a replay of a chunked response has a length", "[stored_response]") {
    auto response = sample_response();
    response.chunked(true);
    auto const replay = replay_of(stored(response));
    CHECK_FALSE(replay.chunked());
    CHECK(replay[http::field::content_length] == "9");
    CHECK(parsed(serialised(replay)).body() == response.body());
}

TEST_CASE("stored_response: there is one marker, also where the response had one, or none", "[stored_response]") {
    auto response = sample_response();
    response.insert("idempotency-replayed", "false");
    auto const read = stored(response);
    CHECK(replay_of(read).count("Idempotency-Replayed") == 1);
    CHECK(replay_of(read)["Idempotency-Replayed"] == "true");
    CHECK(make_replay(stored(sample_response()), 11, true, "", "true").count("Idempotency-Replayed") == 0);
}

namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

/// Responses of any storable shape.
class response_maker {
public:
    explicit response_maker(unsigned seed) : random_(seed) {}

    string_response make() {
        string_response response;
        response.result(200 + below(400));
        if (below(3) == 0) response.reason("R" + text(20));
        for (auto count = below(25); count != 0; --count) {
            auto name = names[below(static_cast<unsigned>(names.size()))];
            if (below(2) == 0) name = lower(name);
            response.insert(name, name == "Connection" ? connection() : text(60));
        }
        response.body() = bytes(below(4) == 0 ? 3000 : 100);
        return response;
    }

private:
    static inline std::vector<std::string> const names{
        "Content-Type", "Link",           "X-One",      "X-Two",      "X-Three",      "ETag",      "Vary",
        "Location",     "Warning",        "Keep-Alive", "TE",         "Date",         "Trailer",   "Transfer-Encoding",
        "Upgrade",      "Content-Length", "Age",        "Connection", "Proxy-Status", "Set-Cookie"};

    unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

    std::string connection() { return (below(2) == 0 ? "close, " : "keep-alive ,") + names[below(5)]; }

    std::string bytes(unsigned max_size) {
        std::string result(below(max_size + 1), '\0');
        for (auto& c : result) c = static_cast<char>(below(256));
        return result;
    }

    /// Without blanks around it, which Beast takes off.
    std::string text(unsigned max_size) {
        auto result = bytes(max_size);
        for (auto& c : result)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '.';
        return "<" + result + ">";
    }

    std::mt19937 random_;
};

/// The fields that a record of `response` keeps, found in another way than the library does.
field_vector kept_fields(string_response const& response) {
    std::vector<std::string> dropped{"keep-alive",     "te",   "trailer", "transfer-encoding", "upgrade",
                                     "content-length", "date", "age",     "connection",        "set-cookie",
                                     "proxy-status"};
    auto const all = fields_of_message(response);
    for (auto const& [name, value] : all)
        if (lower(name) == "connection")
            dropped.push_back(lower(value.substr(value.find_first_not_of(' ', value.find(',') + 1))));
    field_vector kept;
    for (auto const& field : all)
        if (std::find(dropped.begin(), dropped.end(), lower(field.first)) == dropped.end()) kept.push_back(field);
    return kept;
}

/// What a replay adds.
void add_replay_fields(field_vector& fields, string_response const& replay, bool keep_alive) {
    fields.emplace_back("Idempotency-Replayed", "true");
    if (!keep_alive) fields.emplace_back("Connection", "close");
    if (replay.result_int() != 204 && replay.result_int() != 304)
        fields.emplace_back("Content-Length", std::to_string(replay.body().size()));
}

}  // namespace

TEST_CASE("stored_response: random responses replay as exactly one message with the same content",
          "[stored_response]") {
    auto const seed = std::random_device{}();
    std::cout << "random responses: seed " << seed << '\n';
    INFO("seed " << seed);
    response_maker maker(seed);
    int with_body = 0;
    int with_repeats = 0;
    int with_dropped = 0;
    for (int i = 0; i < 3000; ++i) {
        auto const response = maker.make();
        auto const read = stored(response);
        auto const kept = kept_fields(response);
        REQUIRE(read.status() == response.result_int());
        REQUIRE(read.reason() == std::string_view(response.reason()));
        REQUIRE(read.body() == response.body());
        REQUIRE(fields_of(read) == kept);

        bool const keep_alive = i % 2 == 0;
        auto const replay = parsed(serialised(replay_of(read, 11, keep_alive)));
        auto expected = kept;
        add_replay_fields(expected, replay, keep_alive);
        REQUIRE(fields_of_message(replay) == expected);
        REQUIRE(replay.result_int() == response.result_int());
        REQUIRE(replay.reason() == response.reason());
        bool const bodiless = response.result_int() == 204 || response.result_int() == 304;
        REQUIRE(replay.body() == (bodiless ? "" : response.body()));
        REQUIRE(replay.keep_alive() == keep_alive);

        if (!bodiless && !response.body().empty()) ++with_body;
        if (std::adjacent_find(kept.begin(), kept.end(), [](auto const& a, auto const& b) {
                return lower(a.first) == lower(b.first);
            }) != kept.end())
            ++with_repeats;
        if (kept.size() < fields_of_message(response).size()) ++with_dropped;
    }
    CHECK(with_body > 1000);
    CHECK(with_repeats > 500);
    CHECK(with_dropped > 500);
}

TEST_CASE("stored_response: a trace is kept with a record, and no replay has it", "[stored_response]") {
    auto const record = make_record(sample_response(), {.traceparent = sample_trace});
    REQUIRE(record);
    auto const read = decoded(*record);
    CHECK(read.traceparent() == sample_trace);
    CHECK(read.field("Idempo-Traceparent").empty());
    CHECK(read.body() == sample_response().body());
    CHECK(fields_of(read) == fields_of(decoded(*make_record(sample_response(), {}))));
    auto const replay = idempo::make_replay(read, 11, true, "Replayed", "true");
    CHECK(replay.count("Idempo-Traceparent") == 0);
    CHECK(decoded(*make_record(sample_response(), {})).traceparent().empty());
}

TEST_CASE("stored_response: a tombstone keeps the status and a trace", "[stored_response]") {
    auto const read = decoded(make_tombstone(504, sample_trace));
    CHECK_FALSE(read.retained());
    CHECK(read.status() == 504);
    CHECK(read.traceparent() == sample_trace);
    CHECK(read.body().empty());
    CHECK(fields_of(read).empty());
}

TEST_CASE("stored_response: a version that knows no trace reads a response with one", "[stored_response]") {
    // What it knows is the format: another field, which may be sent. So the record must be the one of such a response.
    auto response = sample_response();
    response.insert("Idempo-Traceparent", sample_trace);
    CHECK(make_record(response, {})->view() == make_record(sample_response(), {.traceparent = sample_trace})->view());
}

TEST_CASE("stored_response: a field that only looks like a trace stays a field", "[stored_response]") {
    auto response = sample_response();
    SECTION("no valid trace") { response.insert("Idempo-Traceparent", "00-none"); }
    SECTION("not the last field") {
        response.insert("Idempo-Traceparent", sample_trace);
        response.insert("Last", "1");
    }
    auto const read = decoded(*make_record(response, {}));
    CHECK(read.traceparent().empty());
    CHECK_FALSE(read.field("Idempo-Traceparent").empty());
}

TEST_CASE("stored_response: a tombstone with anything but a trace is unreadable", "[stored_response]") {
    for (auto const& text : {std::string("00-none"), std::string(55, '0'), std::string(sample_trace) + "0"}) {
        idempo::error_code error;
        static_cast<void>(idempo::stored_response::decode(make_tombstone(200, text), error));
        CHECK(error == idempo::error::record_unreadable);
    }
}
