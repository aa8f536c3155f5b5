// SPDX-License-Identifier: MIT

// The code blocks of docs/production.md. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>
#include <idempo/stores/sealed.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

using namespace idempo::tests;
namespace asio = boost::asio;

TEST_CASE("production: the options for a charge", "[docs]") {
    int told = 0;
    auto const tell_metrics = [&told](idempo::event const&) { ++told; };
    std::string const secret(32, 's');
    auto const account_of = [](idempo::request_head const&) { return std::optional<std::string>("account-1"); };
    //<open>production-charge
    auto options = idempo::options::payments(account_of, tell_metrics);  // from what you have authenticated
    options.lease = std::chrono::minutes(2);  // longer than the slowest charge, with its timeouts
    options.digest_keys = {secret};           // where bodies can be guessed: card numbers
    //<close>
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | [](text_request const&) {
        text_response response(http::status::created, 11);
        response.prepare_payload();
        return response;
    };
    CHECK(read(handle(unkeyed_request())).result_int() == 400);
    CHECK(read(handle(keyed_request())).result_int() == 201);
    CHECK(is_replay(read(handle(keyed_request()))));
    CHECK(told > 0);
}

TEST_CASE("production: a sealed store", "[docs]") {
    std::string const secret_of_april(32, '4');
    std::string const secret_of_may(32, '5');
    asio::thread_pool pool(1);
    idempo::memory_store const inner;
    //<open>production-sealed
    idempo::seal_options seal;
    seal.keys = {{2, secret_of_may}, {1, secret_of_april}};  // the first seals, all open
    auto const store = idempo::sealed(idempo::offload(inner, pool.get_executor()), seal);
    //<close>
    int answers = 0;
    {
        auto const handle = idempo::idempotency(store) | [](text_request const&) {
            text_response response(http::status::created, 11);
            response.body() = "done";
            response.prepare_payload();
            return response;
        };
        asio::io_context context;
        for (bool const is_expected_replay : {false, true}) {
            handle(keyed_request(),
                   asio::bind_executor(context, [&, is_expected_replay](http::message_generator answer) {
                       auto const response = read(std::move(answer));
                       CHECK(response.body() == "done");
                       CHECK(is_replay(response) == is_expected_replay);
                       ++answers;
                   }));
            context.restart();
            context.run();
        }
    }
    CHECK(answers == 2);
}
