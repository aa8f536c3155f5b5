// SPDX-License-Identifier: MIT

#include <idempo/stores/renewal_schedule.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using idempo::detail::renewal_schedule;

constexpr renewal_schedule::time_point start{};
constexpr idempo::error failure = idempo::error::store_timed_out;

}  // namespace

TEST_CASE("renewal schedule: a third of a lease after the claim was sent", "[heartbeat]") {
    CHECK(renewal_schedule(9s, start).due() == start + 3s);
    CHECK(renewal_schedule(9s, start + 1s).due() == start + 4s);
}

TEST_CASE("renewal schedule: a third of a lease after the last Renew was sent, however late its answer is",
          "[heartbeat]") {
    renewal_schedule tested(9s, start);
    CHECK(tested.renewed({}, true, start + 3s, start + 8s));
    CHECK(tested.due() == start + 6s);
}

TEST_CASE("renewal schedule: a claim that the store no longer knows is lost", "[heartbeat]") {
    renewal_schedule tested(9s, start);
    CHECK_FALSE(tested.renewed({}, false, start + 3s, start + 3s));
}

TEST_CASE("renewal schedule: errors lose the claim when a whole lease has passed", "[heartbeat]") {
    renewal_schedule tested(9s, start);
    SECTION("since the claim was sent") {
        CHECK(tested.renewed(failure, false, start + 3s, start + 3s));
        CHECK(tested.due() == start + 6s);
        CHECK(tested.renewed(failure, false, start + 6s, start + 8999ms));
        CHECK_FALSE(tested.renewed(failure, false, start + 9s, start + 9s));
    }
    SECTION("since the last Renew that held it was sent") {
        CHECK(tested.renewed({}, true, start + 3s, start + 5s));
        CHECK(tested.renewed(failure, false, start + 6s, start + 11999ms));
        CHECK_FALSE(tested.renewed(failure, false, start + 9s, start + 12s));
    }
}
