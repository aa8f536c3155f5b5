// SPDX-License-Identifier: MIT

// The code blocks of docs/options.md that need idempo::json. tests/snippets.cmake compares them.

#include <idempo/json/canonical_json.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace idempo::tests;

}  // namespace

TEST_CASE("snippets: what makes two requests the same", "[snippets]") {
    idempo::memory_store store;
    auto handler = [](text_request&&) { return text_response(http::status::created, 11); };
    //[same-request
    idempo::options options;
    options.same_request.fields.push_back("API-Version");
    options.same_request.body = idempo::canonical_json({.leave_out = {"/client/sent_at"}});
    options.previous_rules = {idempo::same_request()};  // of the release before this one
    auto handle = idempo::idempotency(store, options) | handler;
    //]
    auto const charge = [](std::string_view body) { return keyed_request("key-1", body); };
    CHECK(handle(charge(R"({"amount":1,"client":{"sent_at":1}})")).result_int() == 201);
    CHECK(is_replay(handle(charge(R"({"client":{"sent_at":2}, "amount":1.0})"))));
    CHECK(handle(charge(R"({"amount":2})")).result_int() == 422);
    auto newer = charge(R"({"amount":1,"client":{}})");
    newer.set("API-Version", "2");
    CHECK(handle(std::move(newer)).result_int() == 422);
}
