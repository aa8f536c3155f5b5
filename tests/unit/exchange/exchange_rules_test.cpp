// SPDX-License-Identifier: MIT

// Which rule a record is compared by: the machine alone.

#include <idempo/exchange/exchange.hpp>
#include <idempo/fingerprint.hpp>

#include "support/catch.hpp"

#include <boost/endian/conversion.hpp>

#include <array>
#include <cstdint>
#include <optional>

using idempo::detail::exchange;
using step = exchange::step;

namespace {

constexpr std::array<std::uint32_t, 3> rules{7, 8, 9};

idempo::fingerprint by_rule(std::uint32_t number, unsigned char request = 1) {
    idempo::fingerprint made;
    boost::endian::store_big_u32(made.bytes.data(), number);
    made.bytes.back() = request;
    return made;
}

idempo::mismatch recorded(std::uint32_t number) { return {by_rule(number)}; }

struct session {
    explicit session(idempo::options chosen = {}) : options(std::move(chosen)), tested(options) {
        REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
        idempo::detail::request_identity identity;
        identity.compared = identity.asked = by_rule(7, 2);
        identity.rules = rules;
        REQUIRE(tested.rule() == 0);
        REQUIRE(tested.identified(identity) == step::claim);
    }

    idempo::options options;
    exchange tested;
};

void check_refused(session& session, step next, idempo::refusal what) {
    CHECK(next == step::respond);
    CHECK(session.tested.answer() == exchange::answer_source::refusal);
    CHECK(session.tested.refusal().what == what);
}

}  // namespace

TEST_CASE("exchange: a record by the current rule that differs is another request", "[exchange]") {
    session session;
    check_refused(session, session.tested.claimed({}, recorded(7)), idempo::refusal::key_reused);
}

TEST_CASE("exchange: a record by a previous rule is claimed by that rule", "[exchange]") {
    session session;
    REQUIRE(session.tested.claimed({}, recorded(9)) == step::identify);
    REQUIRE(session.tested.rule() == 2);
    REQUIRE(session.tested.identified_by_rule(by_rule(9, 3)) == step::claim);
    CHECK(session.tested.claim().fingerprint == by_rule(9, 3));
    SECTION("the same request in flight") {
        check_refused(session, session.tested.claimed({}, idempo::in_flight{}), idempo::refusal::in_flight);
    }
    SECTION("another request") {
        check_refused(session, session.tested.claimed({}, recorded(9)), idempo::refusal::key_reused);
    }
    SECTION("an earlier attempt of the same request") {
        CHECK(session.tested.claimed({}, idempo::granted{2}) == step::run);
        CHECK(session.tested.execution().derived_key("x") == idempo::derive_key({}, by_rule(9, 3), "x"));
    }
    SECTION("by now a record of the current rule") {
        check_refused(session, session.tested.claimed({}, recorded(7)), idempo::refusal::key_reused);
    }
}

TEST_CASE("exchange: a record by an unknown rule is not run and not called another request", "[exchange]") {
    session session;
    check_refused(session, session.tested.claimed({}, recorded(6)), idempo::refusal::not_retained);
}

TEST_CASE("exchange: where the store does not tell the rule, each is tried once", "[exchange]") {
    session session;
    for (std::size_t rule = 1; rule < rules.size(); ++rule) {
        REQUIRE(session.tested.claimed({}, idempo::mismatch{}) == step::identify);
        REQUIRE(session.tested.rule() == rule);
        REQUIRE(session.tested.identified_by_rule(by_rule(rules[rule], 3)) == step::claim);
    }
    check_refused(session, session.tested.claimed({}, idempo::mismatch{}), idempo::refusal::key_reused);
}

TEST_CASE("exchange: in guard mode a record by any rule is a duplicate", "[exchange]") {
    idempo::options options;
    options.on_duplicate = idempo::on_duplicate::reject;
    session session(options);
    auto const number = GENERATE(as<std::uint32_t>(), 0, 7, 9, 6);
    check_refused(session, session.tested.claimed({}, recorded(number)), idempo::refusal::duplicate);
}
