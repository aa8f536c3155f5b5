// SPDX-License-Identifier: MIT

// Guard mode keeps callers apart, too.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace idempo::tests;

text_request request_by(std::string_view caller, std::string_view body = "{}") {
    auto request = keyed_request("order-1", body);
    if (!caller.empty()) request.set(http::field::authorization, "Bearer " + std::string(caller));
    return request;
}

idempo::options guard() {
    idempo::options options;
    options.on_duplicate = idempo::on_duplicate::reject;
    return options;
}

}  // namespace

TEST_CASE("guard mode: two callers with the default scope never meet", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, guard(), charging(ledger));

    CHECK(tested.send(request_by("alice", "1")).result_int() == 201);
    CHECK(tested.send(request_by("bob", "2")).result_int() == 201);
    CHECK(tested.send(request_by("")).result_int() == 201);
    for (auto const* caller : {"alice", "bob", ""}) CHECK(tested.send(request_by(caller, "3")).result_int() == 409);
    CHECK(ledger.size() == 3);
}

TEST_CASE("guard mode: a credential in each listed field is part of who calls", "[middleware]") {
    effect_ledger ledger;
    auto options = guard();
    options.scope = idempo::scope::credential_bound({"X-One", "X-Two"});
    service tested({}, options, charging(ledger));

    auto const with = [](std::string_view name, std::vector<std::string> const& values) {
        auto request = request_by("ignored");
        for (auto const& value : values) request.insert(name, value);
        return request;
    };
    CHECK(tested.send(with("X-One", {"a"})).result_int() == 201);
    CHECK(tested.send(with("X-Two", {"a"})).result_int() == 201);
    CHECK(tested.send(with("X-One", {"a", "a"})).result_int() == 201);
    CHECK(tested.send(with("X-One", {"aa"})).result_int() == 201);
    CHECK(tested.send(with("x-one", {"a"})).result_int() == 409);
}

TEST_CASE("guard mode: a principal's credential may change, and a single tenant's callers meet", "[middleware]") {
    effect_ledger ledger;
    auto options = guard();
    auto const principal = GENERATE(true, false);
    options.scope = principal ? idempo::scope::principal([](auto const&) { return std::string("alice"); })
                              : idempo::scope::single_tenant();
    service tested({}, options, charging(ledger));
    CHECK(tested.send(request_by("alice-1")).result_int() == 201);
    CHECK(tested.send(request_by("alice-2")).result_int() == 409);
}

TEST_CASE("guard mode: another body under a freed key has other derived keys", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    std::mutex mutex;
    std::vector<std::string> derived;
    service tested(how, guard(), [&](text_request const&, idempo::execution& execution) {
        std::lock_guard const lock(mutex);
        derived.push_back(execution.derived_key("charge"));
        return answer_with(400);
    });
    tested.send(request_by("alice", "1"));
    tested.send(request_by("alice", "2"));
    tested.send(request_by("alice", "1"));
    REQUIRE(derived.size() == 3);
    CHECK(derived[0] != derived[1]);
    CHECK(derived[0] == derived[2]);
}
