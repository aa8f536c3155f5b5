// SPDX-License-Identifier: MIT
#include <idempo/postgres/queue/page_walk.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace idempo::postgres;
using idempo::list_request;
using idempo::record_state;

constexpr std::int64_t last_page = 4'294'967'295;

}  // namespace

TEST_CASE("postgres: a place is six bytes, as tidrecv reads it") {
    CHECK(first_place_in(0) == std::string(6, '\0'));
    CHECK(first_place_in(0x01020304) == std::string("\x01\x02\x03\x04\0\0", 6));
    CHECK(first_place_in(last_page) == std::string("\xFF\xFF\xFF\xFF\0\0", 6));
    CHECK(first_place_in(last_page + 2048) == first_place_in(last_page));
}

TEST_CASE("postgres: a cursor at a page is read as it was written, and nothing else is one") {
    for (std::int64_t const page : {std::int64_t{0}, std::int64_t{17}, last_page}) {
        CHECK(read_page_cursor(write_page_cursor(page)) == page);
    }
    for (std::string_view const wrong :
         {"", "17", "page:", "page:-1", "page:1 ", "page:4294967296", "pages:1", "page:0x1"}) {
        INFO(wrong);
        CHECK_FALSE(read_page_cursor(wrong));
    }
}

TEST_CASE("postgres: a call reads pages for the limit, and more where few records will match") {
    auto const pages = [](auto change) {
        list_request request;
        change(request);
        return pages_listed(request);
    };
    CHECK(pages([](list_request& of) { of.limit = 5; }) == 1);
    CHECK(pages([](list_request& of) { of.limit = 1000; }) == 62);
    CHECK(pages([](list_request& of) { of.limit = 1'000'000; }) == 625);
    CHECK(pages([](list_request& of) { of.state = record_state::completed; }) == 6);
    CHECK(pages([](list_request& of) { of.state = record_state::parked; }) == 2048);
    CHECK(pages([](list_request& of) { of.least_attempt = 2; }) == 2048);
    CHECK(pages([](list_request& of) { of.lease_ended = true; }) == 2048);
}
