// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/queue/record_row.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

using namespace idempo;
using namespace idempo::postgres;
using namespace std::chrono_literals;

namespace {

record_row row(std::chrono::microseconds lease_remaining = 1500us) {
    return {
        .is_own_fencing_token = false, .is_same_fingerprint = true, .attempt = 3, .lease_remaining = lease_remaining};
}

record_row completed_row() {
    auto found = row();
    found.is_completed = true;
    found.record = shared_bytes("bytes");
    return found;
}

}  // namespace

TEST_CASE("postgres record_row: why a claim was not granted") {
    CHECK_FALSE(read_claim(std::nullopt, true));

    auto found = row();
    auto answer = read_claim(found, true);
    REQUIRE(std::holds_alternative<in_flight>(answer.value()));
    CHECK(std::get<in_flight>(*answer).lease_remaining == 2ms);

    found.is_own_fencing_token = true;
    CHECK_FALSE(read_claim(found, true));

    for (auto other : {row(), completed_row()}) {
        other.is_same_fingerprint = false;
        other.is_own_fencing_token = true;  // the fingerprint is looked at first
        CHECK_FALSE(std::get<mismatch>(read_claim(other, true).value()).recorded);
        other.recorded = fingerprint_from(std::string(32, 'f'));
        CHECK(std::get<mismatch>(read_claim(other, true).value()).recorded == other.recorded);
        CHECK(std::get<mismatch>(read_complete(other).value()).recorded == other.recorded);
    }

    answer = read_claim(completed_row(), false);
    REQUIRE(std::holds_alternative<completed>(answer.value()));
    CHECK(std::get<completed>(*answer).record.view() == "bytes");
}

TEST_CASE("postgres record_row: an ended lease is taken over, or reported") {
    for (auto const remaining : {0us, -1us}) {
        CHECK_FALSE(read_claim(row(remaining), true));
        auto const answer = read_claim(row(remaining), false);
        REQUIRE(std::holds_alternative<expired>(answer.value()));
        CHECK(std::get<expired>(*answer).attempt == 3);
    }
}

TEST_CASE("postgres record_row: a parked record is told, or taken by who asks for it") {
    auto found = row(-1us);
    found.reason = shared_bytes("why");
    for (bool const is_own : {true, false}) {
        found.is_own_fencing_token = is_own;
        for (bool const take_over : {true, false}) {
            auto const answer = read_claim(found, take_over);
            REQUIRE(std::holds_alternative<parked>(answer.value()));
            CHECK(std::get<parked>(*answer).attempt == 3);
            CHECK(std::get<parked>(*answer).reason.view() == "why");
        }
        CHECK_FALSE(read_claim(found, true, true));
        CHECK(std::holds_alternative<in_flight>(read_complete(found).value()));
    }
}

TEST_CASE("postgres record_row: what nobody left half done is free") {
    auto found = row(-1us);
    found.attempt = 0;
    CHECK_FALSE(read_claim(found, false));
}

TEST_CASE("postgres record_row: why a record was not stored") {
    CHECK_FALSE(read_complete(std::nullopt));
    CHECK(std::holds_alternative<in_flight>(read_complete(row()).value()));
    CHECK(std::get<in_flight>(read_complete(row(-5us)).value()).lease_remaining == 0ms);

    auto own = row();
    own.is_own_fencing_token = true;
    CHECK_FALSE(read_complete(own));

    auto found = completed_row();
    CHECK(std::holds_alternative<completed>(read_complete(found).value()));
    found.is_own_fencing_token = true;
    CHECK(std::holds_alternative<done>(read_complete(found).value()));
    found.is_same_fingerprint = false;
    CHECK(std::holds_alternative<mismatch>(read_complete(found).value()));
}

TEST_CASE("postgres record_row: what is left is rounded away from zero") {
    CHECK(rounded(1us) == 1ms);
    CHECK(rounded(1000us) == 1ms);
    CHECK(rounded(0us) == -1ms);
    CHECK(rounded(-1us) == -1ms);
    CHECK(rounded(-1001us) == -2ms);
}

TEST_CASE("postgres record_row: a fingerprint has 32 bytes, or is none") {
    CHECK(fingerprint_from(std::string(32, 'f')).value().view() == std::string(32, 'f'));
    for (std::size_t const size : {0U, 31U, 33U}) CHECK_FALSE(fingerprint_from(std::string(size, 'f')));
}
