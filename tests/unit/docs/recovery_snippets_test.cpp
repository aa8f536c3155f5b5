// SPDX-License-Identifier: MIT

// The code blocks of docs/recovery.md. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace idempo::tests;

http::response<http::string_body> created(std::string body) {
    http::response<http::string_body> response(http::status::created, 11);
    response.body() = std::move(body);
    response.prepare_payload();
    return response;
}

http::response<http::string_body> accepted_for_review() {
    return http::response<http::string_body>(http::status::accepted, 11);
}

namespace steps {

struct {
    asio::awaitable<std::string> authorise(std::string key, std::string const& order) const {
        co_return "authorised " + order + key.substr(0, 0);
    }
    asio::awaitable<std::string> capture(std::string key, std::string const& authorisation) const {
        co_return "captured, " + authorisation + key.substr(0, 0);
    }
} const bank;

// clang-format off
//[recovery-steps
asio::awaitable<http::message_generator> pay(http::request<http::string_body> request, idempo::execution& execution) {
    auto const authorise = [&](std::string key) { return bank.authorise(key, request.body()); };
    std::string const authorisation = co_await execution.step("authorise", authorise);

    auto const capture = [&](std::string key) { return bank.capture(key, authorisation); };
    std::string const receipt = co_await execution.step("capture", capture);

    co_return created(receipt);
}
//]
// clang-format on

}  // namespace steps

namespace unknown {

struct bank_timeout : std::runtime_error {
    bank_timeout() : std::runtime_error("no answer") {}
};

enum class bank_answer { charged, unheard_of, unknown };

struct slow_bank {
    std::string charge(std::string const& key, std::string const&) {
        charged = key;
        throw bank_timeout();
    }
    [[nodiscard]] bank_answer look_up(std::string const& key) const {
        if (!answers) return bank_answer::unknown;
        return key == charged ? bank_answer::charged : bank_answer::unheard_of;
    }
    std::string charged{};
    bool answers = false;
};

slow_bank bank;

// clang-format off
//[recovery-unknown
http::response<http::string_body> charge(http::request<http::string_body> const& request, idempo::execution& execution) {
    try {
        return created(execution.step("charge", [&](std::string key) { return bank.charge(key, request.body()); }));
    } catch (bank_timeout const&) {
        execution.unknown("the bank did not answer");
        return accepted_for_review();
    }
}
//]
// clang-format on

}  // namespace unknown

namespace by_hand {

using namespace std::chrono_literals;

// clang-format off
//[recovery-settle
bool answer_by_hand(idempo::memory_store& store, idempo::store_key const& key, idempo::observer const& audit) {
    idempo::error_code error;
    auto const info = store.peek(key, error);
    auto const response = idempo::make_record(created("ch_1"), {});
    if (!info || info->state != idempo::record_state::parked || !response) return false;
    return idempo::settle(store, {key, info->attempt, response, 24h}, audit, error);
}
//]
// clang-format on

}  // namespace by_hand

}  // namespace

TEST_CASE("docs: recovery: steps of a coroutine") {
    asio::io_context context;
    idempo::any_store const store(idempo::memory_store(), context.get_executor());
    auto const handle = idempo::idempotency(store) | steps::pay;
    auto answer = handle(keyed_request("key-1", "an order"), asio::use_future);
    context.run();
    CHECK(read(answer.get()).body() == "captured, authorised an order");
}

TEST_CASE("docs: recovery: expired keys are remembered") {
    using namespace std::chrono_literals;
    idempo::options options;
    //[recovery-expired
    options.retention = 24h;
    options.remember_expired = 30 * options.retention;
    //]
    CHECK_NOTHROW(idempo::idempotency(idempo::memory_store(), options));
}

TEST_CASE("docs: recovery: an unknown outcome is looked up") {
    using namespace unknown;
    idempo::options options;
    //[recovery-reconcile
    options.reconcile = [](idempo::execution const& earlier) -> idempo::reconciliation {
        switch (bank.look_up(earlier.derived_key("charge"))) {
        case bank_answer::charged: return created("found at the bank");
        case bank_answer::unheard_of: return idempo::run_again{};
        case bank_answer::unknown: break;
        }
        return idempo::hold_claim{};
    };
    //]
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | unknown::charge;
    CHECK(handle(keyed_request()).result_int() == 202);
    CHECK(handle(keyed_request()).result_int() == 409);
    bank.answers = true;
    CHECK(handle(keyed_request()).body() == "found at the bank");
    CHECK(handle(keyed_request()).body() == "found at the bank");
}

TEST_CASE("docs: recovery: a parked record is answered by hand") {
    using namespace std::chrono_literals;
    idempo::memory_store store;
    idempo::store_key const key{{1}};
    auto const by = idempo::make_fencing_token();
    idempo::error_code error;
    static_cast<void>(store.claim({key, {}, by, 1h, 1h}, error));
    std::string audit;
    auto const told = [&audit](idempo::event const& event) { audit = to_string(event.type); };
    CHECK_FALSE(by_hand::answer_by_hand(store, key, told));
    REQUIRE(store.park({key, {}, by, {}, 1h}, error));
    CHECK(by_hand::answer_by_hand(store, key, told));
    CHECK(audit == "answered_by_hand");
    CHECK_FALSE(by_hand::answer_by_hand(store, key, told));
}
