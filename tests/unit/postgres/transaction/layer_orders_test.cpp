// SPDX-License-Identifier: MIT

// The transactional mode behind each order of the layers, on a database without a server.

#include "support/catch.hpp"
#include "support/completion_scene.hpp"
#include "support/fake_transactions.hpp"
#include "support/layer_orders.hpp"

#include <boost/asio/bind_executor.hpp>

#include <memory>
#include <string>
#include <utility>

namespace {

using namespace idempo::tests;

/// `plain_handler` with rows.
struct handler_with_rows {
    scene& told;
    http::message_generator operator()(text_request const& request, fake_rows& rows) const {
        rows.insert();
        return answer(told, request);
    }
};

/// A callback session on the context of the database.
struct with_database {
    static constexpr bool rethrows = false;
    fake_database* database;

    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        auto const done = [&told](http::message_generator message) { complete(told, std::move(message)); };
        handle(signed_by_client(std::move(request)), asio::bind_executor(database->context, done));
        database->context.restart();
        database->context.run();
    }
};

}  // namespace

TEST_CASE("layer orders: the transactional mode answers once behind each order", "[completion][transactional]") {
    scene told;
    auto const database = std::make_shared<fake_database>();
    auto const transactional = fake_transactional(database) | handler_with_rows{told};
    auto const count = [&](std::string const& order, auto const& handle, auto call) {
        auto const check_rows = [&](ending how, http::verb method) {
            CAPTURE(order, static_cast<int>(how), method);
            database->rows = 0;
            check(told, call, handle, how, method);
            bool const is_keyed = method == http::verb::post;
            bool const commits = how == ending::answers || (how == ending::cannot_be_serialised && is_keyed);
            CHECK(database->rows == (commits ? 1 : 0));
            CHECK(database->reserved == 0);
        };
        for (auto const how : by_returning) {
            for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) check_rows(how, method);
        }
    };
    SECTION("the one-argument call") {
        in_each_order(
            synchronous(), [&](char layer) { return put_before(layer, synchronous(), transactional); },
            [&](auto const& order, auto const& handle) { count(order, handle, signing_call<with_one_argument>()); });
    }
    SECTION("with a token") {
        in_each_order(
            asynchronous(), [&](char layer) { return put_before(layer, asynchronous(), transactional); },
            [&](auto const& order, auto const& handle) { count(order, handle, with_database{database.get()}); });
    }
}
