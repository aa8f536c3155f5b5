// SPDX-License-Identifier: MIT

// The code blocks of docs/digests.md, and of docs/cookbook.md for charges. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

std::optional<std::string> account_of(idempo::request_head const& head) { return std::string(head.field("X-User")); }

text_request paying() {
    auto request = keyed_request();
    request.set("X-User", "shop");
    return request;
}

text_response created() {
    text_response response(http::status::created, 11);
    response.prepare_payload();
    return response;
}

struct bank_client {
    template <class Request>
    text_response charge(Request&&, std::string const& key) {
        last_key = key;
        return answer;
    }
    std::string last_key;
    text_response answer = created();
};

}  // namespace

TEST_CASE("digests: a secret", "[docs]") {
    std::string const secret(32, 's');
    //[digests-secret
    idempo::options options;
    options.digest_keys = {secret};  // 16 bytes or more, random, for nothing else
    //]
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | [](text_request&&) { return created(); };
    CHECK(handle(keyed_request()).result_int() == 201);
    CHECK(is_replay(handle(keyed_request())));
}

TEST_CASE("digests: a change of scope and secret", "[docs]") {
    std::string const secret_of_april(32, '4');
    std::string const secret_of_may(32, '5');
    //[digests-previous
    idempo::options options;
    options.scope = idempo::scope::principal(account_of);
    options.digest_keys = {secret_of_may, secret_of_april};
    options.previous = {{.scope = idempo::scope::credential_bound()}};  // under either secret
    //]
    idempo::memory_store const store;
    auto const work = [](text_request&&) { return created(); };
    idempo::options april;
    april.digest_keys = {secret_of_april};
    CHECK(((idempo::idempotency(store, april) | work)(paying())).result_int() == 201);
    CHECK(is_replay((idempo::idempotency(store, options) | work)(paying())));
}

TEST_CASE("cookbook: a charge endpoint", "[docs]") {
    idempo::memory_store store;
    bank_client bank;
    std::string const secret(32, 's');
    int told = 0;
    auto const count_and_alert = [&told](idempo::event const&) { ++told; };
    auto const ask_the_bank = [](idempo::execution const&) -> idempo::reconciliation { return created(); };
    //[cookbook-charge
    auto options = idempo::options::payments(account_of, count_and_alert);
    options.lease = 2min;  // longer than the slowest charge, with its timeouts
    options.key_namespace = "charges";
    options.digest_keys = {secret};  // the body may hold a card number
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = ask_the_bank;  // by execution.derived_key("charge")
    auto charge = idempo::idempotency(store, options) | [&](auto&& req, idempo::execution& execution) {
        return bank.charge(std::move(req), execution.derived_key("charge"));
    };
    //]
    CHECK(charge(unkeyed_request()).result_int() == 400);
    CHECK(charge(keyed_request()).result_int() == 403);
    bank.answer.result(504);
    CHECK(charge(paying()).result_int() == 504);
    CHECK(bank.last_key.size() == 64);
    CHECK(charge(paying()).result_int() == 409);
    CHECK(told > 0);
}
