// SPDX-License-Identifier: MIT
#include <idempo/listing.hpp>

#include "support/catch.hpp"

#include <chrono>

namespace {

using namespace std::chrono_literals;
using idempo::list_request;
using idempo::record_info;
using idempo::record_state;

bool is_told(list_request const& request, record_info const& info) {
    return idempo::detail::is_asked_for(request, {}, info);
}

record_info info_of(record_state state, unsigned attempt, std::chrono::milliseconds lease) {
    record_info info;
    info.state = state;
    info.attempt = attempt;
    info.lease_remaining = lease;
    return info;
}

}  // namespace

TEST_CASE("list_request: by attempt", "[listing]") {
    list_request request;
    request.least_attempt = 2;
    CHECK_FALSE(is_told(request, info_of(record_state::completed, 1, 0ms)));
    CHECK(is_told(request, info_of(record_state::completed, 2, 0ms)));
}

TEST_CASE("list_request: those whose lease has ended are in flight, and not free", "[listing]") {
    list_request request;
    request.lease_ended = true;
    CHECK(is_told(request, info_of(record_state::in_flight, 1, -1ms)));
    CHECK_FALSE(is_told(request, info_of(record_state::in_flight, 1, 1ms)));
    CHECK_FALSE(is_told(request, info_of(record_state::in_flight, 0, -1ms)));
    CHECK_FALSE(is_told(request, info_of(record_state::parked, 1, -1ms)));
    CHECK_FALSE(is_told(request, info_of(record_state::completed, 1, -1ms)));
}

TEST_CASE("list_request: by age, and those of unknown age are told", "[listing]") {
    list_request request;
    request.older_than = 5min;
    auto info = info_of(record_state::completed, 1, 0ms);
    CHECK(is_told(request, info));
    info.age = 5min;
    CHECK(is_told(request, info));
    info.age = 5min - 1ms;
    CHECK_FALSE(is_told(request, info));
}
