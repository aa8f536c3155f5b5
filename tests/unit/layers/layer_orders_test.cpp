// SPDX-License-Identifier: MIT

// Each order of the layers, in the three styles, around a handler that ends in each way.

#include "support/catch.hpp"
#include "support/completion_scene.hpp"
#include "support/layer_orders.hpp"

#include <string>
#include <vector>

namespace {

using namespace idempo::tests;

template <class Call, class Handle>
void check_endings(std::string const& order, scene& told, Call call, Handle const& handle,
                   std::vector<ending> const& endings) {
    for (auto const how : endings) {
        for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) {
            CAPTURE(order, static_cast<int>(how), method);
            check(told, call, handle, how, method);
        }
    }
}

template <class Style, class Handler>
void check_each_order(Style style, auto call, scene& told, Handler const& handler, std::vector<ending> const& endings) {
    in_each_order(
        style, [&](char layer) { return put_before(layer, style, handler); },
        [&](std::string const& order, auto const& handle) { check_endings(order, told, call, handle, endings); });
}

}  // namespace

TEST_CASE("layer orders: the one-argument call is answered once, in each order", "[completion]") {
    scene told;
    check_each_order(synchronous(), signing_call<with_one_argument>(), told, plain_handler{told}, by_returning);
}

TEST_CASE("layer orders: a call with a token is completed once, in each order", "[completion]") {
    scene told;
    auto const suspends = GENERATE(false, true);
    CAPTURE(suspends);
    SECTION("around a function") {
        if (suspends) return;
        check_each_order(asynchronous(), signing_call<with_token>(), told, plain_handler{told}, by_returning);
    }
    SECTION("around a coroutine") {
        check_each_order(asynchronous(), signing_call<with_token>(), told, coroutine_handler{told, suspends},
                         by_returning);
    }
    SECTION("around a handler with a token") {
        check_each_order(asynchronous(), signing_call<with_token>(), told,
                         idempo::async_handler(token_handler{told, suspends}), by_calling);
    }
}
