// SPDX-License-Identifier: MIT

// Key scope: callers with the same key do not meet.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace idempo::tests;

text_request request_by(std::string_view caller) {
    auto request = keyed_request();
    if (!caller.empty()) request.set(http::field::authorization, "Bearer " + std::string(caller));
    return request;
}

/// A stand-in for an application that verifies a credential: rotated tokens `alice-1` and `alice-2` are Alice's.
std::optional<std::string> caller_of(idempo::request_head const& head) {
    auto const credential = head.field("Authorization");
    if (credential.empty()) return std::nullopt;
    return std::string(credential.substr(0, credential.find('-')));
}

idempo::options with(idempo::scope scope) {
    idempo::options options;
    options.scope = std::move(scope);
    return options;
}

}  // namespace

TEST_CASE("middleware: scoped keys: callers with equal keys do not meet", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, with(idempo::scope::principal(caller_of)), charging(ledger));

    CHECK(tested.send(request_by("alice-1")).body() == "charge 1");
    CHECK(tested.send(request_by("bob-1")).body() == "charge 2");
    CHECK(tested.send(request_by("alice-1")).body() == "charge 1");
}

TEST_CASE("middleware: a principal may rotate the credential between tries", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, with(idempo::scope::principal(caller_of)), charging(ledger));

    tested.send(request_by("alice-1"));
    CHECK(is_replay(tested.send(request_by("alice-2"))));
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: a caller whom principal does not know is refused with a key and served without",
          "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    auto const nobody = GENERATE(true, false) ? std::optional<std::string>() : std::string();
    service tested(how, with(idempo::scope::principal([=](auto const&) { return nobody; })), charging(ledger));

    auto const refused = tested.send(keyed_request());
    CHECK(refused.result_int() == 403);
    CHECK(refused.body().find("urn:idempo:problem:caller-unknown") != std::string::npos);
    CHECK(tested.send(unkeyed_request()).result_int() == 201);
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: a principal function that throws is answered as a handler that does", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    auto const find = [](idempo::request_head const&) -> std::optional<std::string> {
        throw std::runtime_error("no such token");
    };
    service tested(how, with(idempo::scope::principal(find)), charging(ledger));

    if (how.style == style::plain) {
        CHECK_THROWS_WITH(tested.start(keyed_request()).get(), "no such token");
    } else {
        CHECK(tested.send(keyed_request()).result_int() == 500);
    }
    CHECK(ledger.size() == 0);
    CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    CHECK(tested.told(idempo::event_type::refused) == 1);
    CHECK(tested.drain(std::chrono::milliseconds{0}));
}

TEST_CASE("middleware: bound to the credential, another caller with an equal key and request is refused",
          "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));

    tested.send(request_by("alice-1"));
    CHECK(tested.send(request_by("bob-1")).result_int() == 422);
    CHECK(tested.send(request_by("")).result_int() == 422);
    CHECK(is_replay(tested.send(request_by("alice-1"))));
}

TEST_CASE("middleware: bound to the credential, a rotated one is 422 and no duplicate", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));

    tested.send(request_by("alice-1"));
    CHECK(tested.send(request_by("alice-2")).result_int() == 422);
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: only a listed field is a credential", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    auto const listed = GENERATE(true, false);
    auto const scope = listed ? idempo::scope::credential_bound({"Cookie"}) : idempo::scope::credential_bound();
    service tested(how, with(scope), charging(ledger));

    auto request = keyed_request();
    request.set(http::field::cookie, "session=alice");
    tested.send(request);
    request.set(http::field::cookie, "session=bob");
    CHECK(tested.send(request).result_int() == (listed ? 422 : 201));  // 201: the leak that the table admits
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: an X-Api-Key is a credential by default", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));

    auto request = keyed_request();
    request.set("X-Api-Key", "alice");
    tested.send(request);
    request.set("x-api-key", "bob");
    CHECK(tested.send(request).result_int() == 422);
}

TEST_CASE("middleware: a single tenant's callers share their keys", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, with(idempo::scope::single_tenant()), charging(ledger));

    tested.send(request_by("alice-1"));
    CHECK(is_replay(tested.send(request_by("bob-1"))));
    CHECK(ledger.size() == 1);
}
