// SPDX-License-Identifier: MIT
#include <idempo/error.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>

using idempo::error;

TEST_CASE("error: converts to an error_code of the idempo category") {
    idempo::error_code const ec = error::store_full;
    CHECK(ec == error::store_full);
    CHECK(ec != error::store_unavailable);
    CHECK(ec.category() == idempo::error_category());
    CHECK(std::string(ec.category().name()) == "idempo");
    CHECK(ec.failed());
}

TEST_CASE("error: each value has a message of its own, one sentence") {
    std::set<std::string> messages;
    for (auto const value : {error::store_unavailable, error::store_full, error::store_timed_out,
                             error::record_unreadable, error::trailer_refused, error::framing_refused}) {
        auto const message = make_error_code(value).message();
        INFO(message);
        CHECK(message.find("Unknown") == std::string::npos);
        CHECK(message.back() == '.');
        CHECK(messages.insert(message).second);
    }
}

TEST_CASE("error: an unknown value says so") {
    CHECK(idempo::error_category().message(99) == "Unknown idempo error 99.");
}
