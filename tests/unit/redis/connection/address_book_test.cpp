// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/address_book.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <string>
#include <utility>

using namespace idempo::redis;

namespace {

auto const one = asio::ip::make_address("192.0.2.1");
auto const two = asio::ip::make_address("192.0.2.2");
auto const three = asio::ip::make_address("2001:db8::3");

struct scene {
    void find(ip_addresses found, idempo::error_code failure = {}) {
        REQUIRE(book.begin_lookup("a"));
        book.end_lookup("a", std::move(found), failure);
    }

    ip_addresses known(std::string const& host = "a") { return book.known(host, error); }

    address_book book;
    idempo::error_code error;
};

}  // namespace

TEST_CASE("address_book: nothing is known of a name before it was looked up") {
    scene scene;
    CHECK(scene.known().empty());
    CHECK(scene.error == asio::error::timed_out);
}

TEST_CASE("address_book: one lookup of a name at a time, whatever the others do") {
    scene scene;
    CHECK(scene.book.begin_lookup("a"));
    CHECK_FALSE(scene.book.begin_lookup("a"));
    CHECK(scene.book.begin_lookup("b"));
    scene.book.end_lookup("a", {one}, {});
    CHECK(scene.book.begin_lookup("a"));
    CHECK_FALSE(scene.book.begin_lookup("b"));
}

TEST_CASE("address_book: during a lookup the addresses found before remain known") {
    scene scene;
    scene.find({one});
    CHECK(scene.book.begin_lookup("a"));
    CHECK(scene.known() == ip_addresses{one});
    CHECK_FALSE(scene.error);
    scene.book.end_lookup("a", {two}, {});
    CHECK(scene.known() == ip_addresses{two});
}

TEST_CASE("address_book: a failure that may pass keeps the addresses, another one forgets them") {
    scene scene;
    scene.find({one});
    SECTION("the name server has nobody to ask") { scene.find({}, asio::error::host_not_found_try_again); }
    SECTION("there is no memory or no thread") { scene.find({}, asio::error::no_memory); }
    CHECK(scene.known() == ip_addresses{one});
    CHECK_FALSE(scene.error);
    scene.find({}, asio::error::host_not_found);
    CHECK(scene.known().empty());
    CHECK(scene.error == asio::error::host_not_found);
}

TEST_CASE("address_book: a name without an address is not found") {
    scene scene;
    scene.find({});
    CHECK(scene.known().empty());
    CHECK(scene.error == asio::error::host_not_found);
}

TEST_CASE("address_book: addresses that failed come last, in the order of their failures") {
    scene scene;
    scene.find({one, two, three});
    scene.book.report_failure("a", one);
    CHECK(scene.known() == ip_addresses{two, three, one});
    scene.book.report_failure("a", two);
    CHECK(scene.known() == ip_addresses{three, one, two});
    SECTION("one that fails again goes to the end") {
        scene.book.report_failure("a", one);
        CHECK(scene.known() == ip_addresses{three, two, one});
    }
    SECTION("one that works comes to the place that the name server gave it") {
        scene.book.report_success("a", one);
        CHECK(scene.known() == ip_addresses{one, three, two});
    }
    SECTION("a new lookup does not forget the failures") {
        scene.find({two, three, one});
        CHECK(scene.known() == ip_addresses{three, one, two});
    }
    SECTION("another name with these addresses has failures of its own") {
        REQUIRE(scene.book.begin_lookup("b"));
        scene.book.end_lookup("b", {one, two}, {});
        CHECK(scene.known("b") == ip_addresses{one, two});
    }
}

TEST_CASE("address_book: only so many failures of a name are kept, the last ones") {
    scene scene;
    scene.find({one, two});
    scene.book.report_failure("a", one);
    scene.book.report_failure("a", two);
    for (std::size_t number = 1; number < address_book::max_failed; ++number) {
        scene.book.report_failure("a", asio::ip::make_address_v4(static_cast<asio::ip::address_v4::uint_type>(number)));
    }
    CHECK(scene.known() == ip_addresses{one, two});  // the failure of `one` is forgotten, that of `two` is not
}
