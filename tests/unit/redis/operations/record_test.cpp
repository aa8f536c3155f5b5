// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/operations/record.hpp>

#include <idempo/store.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

using namespace std::chrono_literals;
using namespace idempo::redis;

namespace {

idempo::claim_request claim() {
    return {{{1}}, {{2, 3}}, idempo::make_fencing_token(), 30s, std::chrono::hours{24}, true};
}

idempo::complete_request complete(std::string_view bytes) {
    return {{{1}}, {{2, 3}}, idempo::make_fencing_token(), idempo::shared_bytes(bytes), 5s};
}

}  // namespace

TEST_CASE("redis record: a record in flight is read as it was written") {
    auto const request = claim();
    auto const value = write_open(request);
    CHECK(value.size() == header_size);
    auto const found = read_header(value, value.size());
    REQUIRE(found);
    CHECK_FALSE(found->is_completed);
    CHECK(found->fencing_token == request.fencing_token);
    CHECK(found->fingerprint == request.fingerprint);
    CHECK(found->attempt == 1);
    CHECK(found->lease == 30s);
    CHECK(found->life == 30s + std::chrono::hours{24});
}

TEST_CASE("redis record: a completed record is read as it was written") {
    std::string const bytes("an\0swer", 7);
    auto const request = complete(bytes);
    auto const value = write_done(request);
    auto const found = read_header(value, value.size());
    REQUIRE(found);
    CHECK(found->is_completed);
    CHECK(found->fencing_token == request.fencing_token);
    CHECK(found->life == 5s);
    CHECK(completed_bytes(value) == bytes);
}

TEST_CASE("redis record: a parked record is read as it was written") {
    idempo::park_request const request{{{1}}, {{2, 3}}, idempo::make_fencing_token(), idempo::shared_bytes("why"), 5s};
    auto const value = write_parked(request);
    auto const found = read_header(value, value.size());
    REQUIRE(found);
    CHECK(found->is_parked);
    CHECK_FALSE(found->is_completed);
    CHECK(found->fencing_token == request.fencing_token);
    CHECK(found->lease == 0ms);
    CHECK(found->life == 5s);
    CHECK(completed_bytes(value) == std::string("\0\3why", 5));
}

TEST_CASE("redis record: a settled record has nobody's token and fingerprint") {
    auto const value = write_settled({{{1}}, 3, idempo::shared_bytes("answer"), 5s});
    auto const found = read_header(value, value.size());
    REQUIRE(found);
    CHECK(found->is_completed);
    CHECK(found->fencing_token == idempo::fencing_token{});
    CHECK(found->fingerprint == idempo::fingerprint{});
    CHECK(found->attempt == 3);
    CHECK(write_settled({{{1}}, 3, std::nullopt, 5s}).empty());
}

TEST_CASE("redis record: durations are bounded") {
    CHECK(bounded(-1ms) == 0ms);
    CHECK(bounded(std::chrono::milliseconds::max()) == longest_span);
    CHECK(life_of(0ms, -5ms) == 1ms);
    CHECK(life_of(std::chrono::milliseconds::max(), std::chrono::milliseconds::max()) == 2 * longest_span);
}

TEST_CASE("redis record: no flipped bit of the header goes unnoticed") {
    for (auto const& value : {write_open(claim()), write_done(complete("answer"))}) {
        for (std::size_t bit = 0; bit < 8 * header_size; ++bit) {
            auto damaged = value;
            damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
            CAPTURE(bit);
            CHECK_FALSE(read_header(damaged, damaged.size()));
        }
    }
}

TEST_CASE("redis record: no missing and no added byte goes unnoticed") {
    for (auto const& value : {write_open(claim()), write_done(complete("answer"))}) {
        for (std::size_t size = 0; size < value.size(); ++size) {
            CAPTURE(size);
            CHECK_FALSE(read_header(value.substr(0, size), size));
        }
        CHECK_FALSE(read_header(value + 'x', value.size() + 1));
    }
}

TEST_CASE("redis record: foreign values are not read") {
    CHECK_FALSE(read_header("", 0));
    std::string const foreign(200, 'x');
    CHECK_FALSE(read_header(foreign, foreign.size()));
    std::string const zeros(header_size, '\0');
    CHECK_FALSE(read_header(zeros, zeros.size()));
}
