// SPDX-License-Identifier: MIT

// What is replayed as the same request, and what gets 422.

#include <idempo/fingerprint.hpp>
#include <idempo/key.hpp>
#include <idempo/layers/idempotency.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/poll_until.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace idempo::tests;
using idempo::event_type;

text_request upload(std::string const& boundary, std::string_view amount = "4") {
    auto request =
        keyed_request("key-1", "--" + boundary + "\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n" +
                                   std::string(amount) + "\r\n--" + boundary + "--\r\n");
    request.set(http::field::content_type, "multipart/form-data; boundary=" + boundary);
    return request;
}

idempo::body_rule length_only() {
    return idempo::body_rule::custom("length", [](auto const&, std::string_view body, auto& hash) {
        hash.add(std::to_string(body.size()));
        return true;
    });
}

/// Two releases of one service over one store.
class releases {
public:
    text_request request = keyed_request();
    effect_ledger ledger;

    text_response first(idempo::options const& options) { return send(options, request); }

    text_response send(idempo::options const& options, text_request asked) {
        auto const handle = idempo::idempotency(store_, options) |
                            [this](text_request&&, idempo::execution& execution) { return charge(ledger, execution); };
        return handle(std::move(asked));
    }

    idempo::memory_store& store() { return store_; }

private:
    idempo::memory_store store_;
};

idempo::options with(idempo::body_rule body) {
    idempo::options options;
    options.same_request.body = std::move(body);
    return options;
}

}  // namespace

TEST_CASE("same request: an upload that is sent again with another boundary is replayed", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    if (GENERATE(false, true)) options.scope = idempo::scope::principal([](auto const&) { return std::string("a"); });
    service tested(how, options, charging(ledger));

    tested.send(upload("one"));
    CHECK(is_replay(tested.send(upload("another"))));
    CHECK(tested.send(upload("another", "5")).result_int() == 422);
    CHECK(ledger.size() == 1);
}

TEST_CASE("same request: a scope by principal compares the same fields", "[middleware]") {
    effect_ledger ledger;
    idempo::options options;
    options.scope = idempo::scope::principal([](auto const&) { return std::string("alice"); });
    service tested({}, options, charging(ledger));
    auto chunk = keyed_request();
    chunk.set("Content-Range", "bytes 0-11/24");
    CHECK(tested.send(chunk).result_int() == 201);
    chunk.set("Content-Range", "bytes 12-23/24");
    CHECK(tested.send(chunk).result_int() == 422);
}

TEST_CASE("same request: a rule that throws is answered as a handler that does", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    auto const throwing =
        idempo::body_rule::custom("x", [](auto&&...) -> bool { throw std::runtime_error("no rule"); });
    service tested(how, with(throwing), charging(ledger));
    CHECK(answer_of(tested.start(keyed_request())).result_int() == 500);
    CHECK(ledger.size() == 0);
    CHECK(tested.told(event_type::handler_threw) == 1);
}

TEST_CASE("same request: after a change of the rule, a record is compared by the rule that made it", "[middleware]") {
    releases service;
    service.first({});
    auto next = with(length_only());
    next.previous_rules = {idempo::same_request()};

    CHECK(is_replay(service.send(next, keyed_request())));
    CHECK(service.send(next, keyed_request("key-1", "[]")).result_int() == 422);  // equal by the new rule alone
    CHECK(service.ledger.size() == 1);

    service.send(next, keyed_request("key-2", "12"));
    CHECK(is_replay(service.send(next, keyed_request("key-2", "34"))));
    CHECK(service.ledger.size() == 2);
}

TEST_CASE("same request: while two releases run, each compares the other's records by the other's rule",
          "[middleware]") {
    releases service;
    idempo::options before;
    before.previous_rules = {with(length_only()).same_request};  // the next release's
    auto after = with(length_only());
    after.previous_rules = {idempo::same_request()};

    service.send(after, keyed_request("key-1", "12"));
    CHECK(is_replay(service.send(before, keyed_request("key-1", "12"))));
    CHECK(is_replay(service.send(before, keyed_request("key-1", "34"))));
    CHECK(service.send(before, keyed_request("key-1", "345")).result_int() == 422);
    CHECK(service.ledger.size() == 1);
}

TEST_CASE("same request: a record by a rule that nobody knows is not run and not called another request",
          "[middleware]") {
    releases service;
    service.first(with(length_only()));
    auto const refused = service.send({}, service.request);
    CHECK(refused.result_int() == 409);
    CHECK(refused.body().find("urn:idempo:problem:response-not-retained") != std::string::npos);
    CHECK(service.ledger.size() == 1);
}

namespace {

/// A store that does not say which fingerprint a record has.
class silent_store {
public:
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& error) {
        auto result = inner_.claim(request, error);
        if (std::holds_alternative<idempo::mismatch>(result)) return idempo::mismatch{};
        return result;
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& error) {
        return inner_.complete(request, error);
    }
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& error) {
        inner_.abandon(key, by, error);
    }

private:
    idempo::memory_store inner_;
};

}  // namespace

TEST_CASE("same request: on a store that does not name the record's rule, each listed rule is tried", "[middleware]") {
    silent_store const store;
    effect_ledger ledger;
    auto const send = [&](idempo::options const& options, std::string_view body) {
        auto const handle = idempo::idempotency(store, options) |
                            [&](text_request&&, idempo::execution& execution) { return charge(ledger, execution); };
        return handle(keyed_request("key-1", body));
    };
    send({}, "12");
    auto next = with(length_only());
    next.previous_rules = {with(idempo::body_rule::exact()).same_request, idempo::same_request()};
    CHECK(is_replay(send(next, "12")));
    CHECK(send(next, "34").result_int() == 422);
    CHECK(ledger.size() == 1);
}

TEST_CASE("same request: a takeover after a change of the rule has the derived keys of the first attempt",
          "[middleware]") {
    releases service;
    std::vector<std::string> derived;
    auto const run = [&](idempo::options options) {
        auto const handle = idempo::idempotency(service.store(), options) |
                            [&](text_request&&, idempo::execution& execution) -> text_response {
            derived.push_back(execution.derived_key("charge"));
            throw std::runtime_error("gone");
        };
        CHECK_THROWS(handle(keyed_request()));
    };
    idempo::options options;
    options.lease = std::chrono::milliseconds{10};
    options.on_throw = idempo::on_throw::hold;
    run(options);
    std::vector<idempo::same_request> const before{options.same_request};
    options.same_request.body = length_only();
    options.previous_rules = before;
    idempo::error_code error;
    idempo::options const defaults;
    auto const key = idempo::make_store_key("", "", "key-1");
    poll_until([&] { return service.store().peek(key, error)->lease_remaining <= std::chrono::milliseconds{0}; });
    run(options);
    REQUIRE(derived.size() == 2);
    CHECK(derived[0] == derived[1]);
}

TEST_CASE("same request: the store key of each endpoint is its own where the options say so", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    options.per_endpoint = true;
    service tested(how, options, charging(ledger));
    auto const at = [](http::verb method, std::string_view target) {
        auto request = keyed_request();
        request.method(method);
        request.target(target);
        return request;
    };
    CHECK(tested.send(at(http::verb::post, "/payments/1/capture")).body() == "charge 1");
    CHECK(tested.send(at(http::verb::post, "/payments/2/capture")).body() == "charge 2");
    CHECK(tested.send(at(http::verb::put, "/payments/2/capture")).body() == "charge 3");
    CHECK(tested.send(at(http::verb::post, "/payments/2/capture?x=1")).result_int() == 422);
    CHECK(is_replay(tested.send(at(http::verb::post, "http://localhost/payments/2/capture"))));

    auto bob = at(http::verb::post, "/payments/1/capture");
    bob.set(http::field::authorization, "Bearer bob");
    CHECK(tested.send(bob).result_int() == 422);  // the scope is still there
}

TEST_CASE("same request: without per_endpoint another endpoint is another request", "[middleware]") {
    effect_ledger ledger;
    service tested({}, {}, charging(ledger));
    tested.send(keyed_request());
    auto other = keyed_request();
    other.target("/other");
    CHECK(tested.send(other).result_int() == 422);
}

TEST_CASE("middleware: accept_key refuses what the syntax allows", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    options.accept_key = [](std::string_view key) {
        if (key == "throw") throw std::runtime_error("no such rule");
        return key.size() == 5;
    };
    service tested(how, options, charging(ledger));
    CHECK(tested.send(keyed_request("\"12345\"")).result_int() == 201);
    CHECK(tested.send(keyed_request("1234")).result_int() == 400);
    CHECK(answer_of(tested.start(keyed_request("throw"))).result_int() == 500);
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: an opaque key is any text up to 255 bytes", "[middleware]") {
    effect_ledger ledger;
    idempo::options options;
    options.syntax = idempo::key_syntax::opaque;
    service tested({}, options, charging(ledger));
    CHECK(tested.send(keyed_request("r\xc3\xa9q/key:with spaces, \"quotes\"; a=1")).result_int() == 201);
    CHECK(tested.send(keyed_request("\"abc\"")).result_int() == 201);
    CHECK_FALSE(is_replay(tested.send(keyed_request("abc"))));
    CHECK(tested.send(keyed_request(std::string(255, 'k'))).result_int() == 201);
    CHECK(tested.send(keyed_request(std::string(256, 'k'))).result_int() == 400);
    CHECK(tested.send(keyed_request("")).result_int() == 400);
}

TEST_CASE("middleware: a cookie that the scope does not know of is told", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    int expected = 0;
    auto request = keyed_request();
    request.set(http::field::cookie, "session=alice");
    SECTION("with the default scope") { expected = 1; }
    SECTION("beside a credential") { request.set("X-Api-Key", "alice"); }
    SECTION("listed") { options.scope = idempo::scope::credential_bound({"Cookie"}); }
    SECTION("with a principal") {
        options.scope = idempo::scope::principal([](auto const&) { return std::string("alice"); });
    }
    SECTION("of a single tenant") { options.scope = idempo::scope::single_tenant(); }
    SECTION("that is not there") { request.erase(http::field::cookie); }
    service tested(how, options, charging(ledger));
    CHECK(tested.send(request).result_int() == 201);
    CHECK(tested.told(event_type::cookie_ignored) == expected);
    CHECK(tested.told(event_type::executed) == 1);
}

TEST_CASE("middleware: what sanitize removes no replay has, and the first client gets", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.sanitize = [](text_response& response) {
        response.erase("X-Secret");
        response.body() = "masked";
    };
    service tested(how, options, [](text_request const&, idempo::execution&) {
        auto response = answer_with(201, "card 4242");
        response.set("X-Secret", "s");
        response.set("X-Kept", "k");
        response.prepare_payload();
        return response;
    });
    auto const first = tested.send(keyed_request());
    CHECK(first.body() == "card 4242");
    CHECK(first["X-Secret"] == "s");
    auto const replay = tested.send(keyed_request());
    CHECK(is_replay(replay));
    CHECK(replay.body() == "masked");
    CHECK(replay[http::field::content_length] == "6");
    CHECK(replay.count("X-Secret") == 0);
    CHECK(replay["X-Kept"] == "k");
}

TEST_CASE("middleware: where sanitize throws, nothing of the response is stored", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    options.unstorable = idempo::unstorable::release;  // the effect has happened: this is not for it to say
    options.sanitize = [](text_response&) { throw std::runtime_error("cannot tell"); };
    service tested(how, options, charging(ledger));
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    CHECK(ledger.size() == 1);
    CHECK(tested.told(event_type::handler_threw) == 1);
    CHECK(tested.told(event_type::tombstone) == 1);
}

TEST_CASE("middleware: a handler says how long its answer is kept", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, [ledger](text_request const&, idempo::execution& execution) {
        execution.retain_for(std::chrono::minutes{1});
        CHECK_THROWS_AS(execution.retain_for(std::chrono::milliseconds{0}), std::invalid_argument);
        CHECK_THROWS_AS(execution.retain_for(std::chrono::hours{24 * 36'600}), std::invalid_argument);
        return charge(ledger, execution);
    });
    tested.send(keyed_request());
    tested.store_clock().advance(std::chrono::seconds{59});
    CHECK(is_replay(tested.send(keyed_request())));
    tested.store_clock().advance(std::chrono::seconds{2});
    CHECK_FALSE(is_replay(tested.send(keyed_request())));
    CHECK(ledger.size() == 2);
}
