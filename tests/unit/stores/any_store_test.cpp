// SPDX-License-Identifier: MIT
#include <idempo/stores/any_store.hpp>

#include "support/catch.hpp"
#include "support/fault_store.hpp"
#include "support/posted_store.hpp"
#include "support/recording_executor.hpp"

#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <optional>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

static_assert(idempo::async_store<idempo::any_store>);
static_assert(idempo::async_renewable_store<idempo::any_store>);
static_assert(!idempo::store<idempo::any_store>);
static_assert(!idempo::nonblocking_store<idempo::any_store>);
static_assert(!std::is_constructible_v<idempo::any_store, idempo::memory_store>);  // it needs an executor

/// An asynchronous store without Renew.
class plain_store {
public:
    explicit plain_store(asio::any_io_executor executor) : store_(idempo::memory_store(), std::move(executor)) {}
    [[nodiscard]] asio::any_io_executor get_executor() const { return store_.get_executor(); }
    template <class Token>
    auto async_claim(idempo::claim_request request, Token&& token) {
        return store_.async_claim(request, std::forward<Token>(token));
    }
    template <class Token>
    auto async_complete(idempo::complete_request request, Token&& token) {
        return store_.async_complete(std::move(request), std::forward<Token>(token));
    }
    template <class Token>
    auto async_abandon(idempo::store_key key, idempo::fencing_token by, Token&& token) {
        return store_.async_abandon(key, by, std::forward<Token>(token));
    }

private:
    posted_store<idempo::memory_store> store_;
};

static_assert(idempo::async_store<plain_store>);
static_assert(!idempo::async_renewable_store<plain_store>);

static_assert(idempo::async_checkpointing_store<idempo::any_store> && idempo::async_parking_store<idempo::any_store>);

idempo::claim_request claim_of(unsigned char key) {
    idempo::claim_request request;
    request.key.bytes[0] = key;
    request.fencing_token = idempo::make_fencing_token();
    request.lease = request.retention = 1h;
    return request;
}

class erased_fixture {
public:
    auto store() { return blocking_; }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    asio::thread_pool threads_{2};
    idempo::memory_store records_{{.clock = clock_}};
    idempo::blocking_store<idempo::any_store> blocking_{
        idempo::any_store(idempo::offload(records_, threads_.get_executor()))};
};

}  // namespace

TEST_CASE("any_store: keeps the contract of the store in it", "[any_store]") {
    erased_fixture fixture;
    idempo::testing::store_contract(fixture);
}

TEST_CASE("any_store: a store that never blocks is still called directly", "[any_store]") {
    asio::io_context context;
    idempo::memory_store records;
    idempo::any_store const erased(records, context.get_executor());
    REQUIRE(erased.direct());
    CHECK(erased.renewable());
    CHECK(erased.get_executor() == context.get_executor());

    idempo::error_code error;
    auto const claim = claim_of(1);
    CHECK(std::holds_alternative<idempo::granted>(erased.direct()->claim(claim, error)));
    CHECK(erased.direct()->renew(claim.key, claim.fencing_token, 1s, error));
    erased.direct()->abandon(claim.key, claim.fencing_token, error);
    CHECK_FALSE(error);
    CHECK_FALSE(records.peek(claim.key, error));
}

TEST_CASE("any_store: an asynchronous store is not, and brings its executor", "[any_store]") {
    asio::io_context context;
    idempo::any_store const erased(plain_store(context.get_executor()));
    CHECK_FALSE(erased.direct());
    CHECK_FALSE(erased.renewable());
    CHECK(erased.get_executor() == context.get_executor());
    CHECK(idempo::any_store(posted_store(idempo::memory_store(), context.get_executor())).renewable());
}

TEST_CASE("any_store: copies share the store", "[any_store]") {
    asio::io_context context;
    idempo::any_store const one(idempo::memory_store(), context.get_executor());
    auto const other = one;
    idempo::error_code error;
    one.direct()->claim(claim_of(1), error);
    CHECK(std::holds_alternative<idempo::in_flight>(other.direct()->claim(claim_of(1), error)));
}

TEST_CASE("any_store: asynchronous calls complete by post, where the token says or on the store's executor",
          "[any_store]") {
    asio::io_context context;
    asio::io_context other;
    auto const is_direct = GENERATE(true, false);
    auto const at = context.get_executor();
    auto erased = is_direct ? idempo::any_store(idempo::memory_store(), at)
                            : idempo::any_store(posted_store(idempo::memory_store(), at));
    auto const home = recording_executor::around(other.get_executor());
    int bound = 0;
    int unbound = 0;
    auto const claim = claim_of(1);
    erased.async_claim(claim, asio::bind_executor(home, [&](idempo::error_code, idempo::claim_result result) {
                           bound += home.is_running() && std::holds_alternative<idempo::granted>(result) ? 1 : 0;
                       }));
    erased.async_renew(claim.key, claim.fencing_token, 1s,
                       [&](idempo::error_code, bool held) { unbound += held ? 1 : 0; });
    erased.async_complete({claim.key, {}, claim.fencing_token, idempo::shared_bytes(std::string_view("record")), 1h},
                          [&](idempo::error_code, idempo::complete_result result) {
                              unbound += std::holds_alternative<idempo::done>(result) ? 1 : 0;
                          });
    erased.async_abandon(claim.key, claim.fencing_token, [&](idempo::error_code error) { unbound += error ? 0 : 1; });
    CHECK(unbound == 0);
    context.run();
    CHECK(unbound == 3);
    CHECK(bound == 0);
    other.run();
    CHECK(bound == 1);
}

TEST_CASE("any_store: the handler's own executor is kept at work until it is called", "[any_store]") {
    asio::io_context context;
    asio::io_context own;
    idempo::any_store erased(idempo::memory_store(), context.get_executor());
    bool is_granted = false;
    erased.async_claim(claim_of(1), asio::bind_executor(own, [&](idempo::error_code, idempo::claim_result result) {
                           is_granted = std::holds_alternative<idempo::granted>(result);
                       }));
    own.poll();
    CHECK_FALSE(own.stopped());
    context.run();
    own.run();
    CHECK(is_granted);
}

TEST_CASE("any_store: an operation keeps the store alive", "[any_store]") {
    asio::io_context context;
    std::future<idempo::claim_result> result;
    {
        idempo::any_store erased(idempo::memory_store(), context.get_executor());
        result = erased.async_claim(claim_of(1), asio::use_future);
    }
    context.run();
    CHECK(std::holds_alternative<idempo::granted>(result.get()));
}

TEST_CASE("any_store: says whether the store inside keeps steps and parks") {
    asio::io_context context;
    idempo::any_store const whole(idempo::memory_store(), context.get_executor());
    CHECK(whole.keeps_steps());
    CHECK(whole.parks());
    idempo::any_store const plain{plain_store(context.get_executor())};
    CHECK_FALSE(plain.keeps_steps());
    CHECK_FALSE(plain.parks());
    CHECK_FALSE(idempo::blocking(plain).keeps_steps());
    CHECK_FALSE(idempo::blocking(plain).parks());
}

TEST_CASE("any_store: says whether the store inside has peek and forget") {
    asio::io_context context;
    CHECK(idempo::any_store(idempo::memory_store(), context.get_executor()).inspectable());
    CHECK(idempo::any_store(posted_store(idempo::memory_store(), context.get_executor())).inspectable());
    idempo::any_store const plain{plain_store(context.get_executor())};
    CHECK_FALSE(plain.inspectable());
    CHECK_FALSE(idempo::blocking(plain).inspectable());
}

TEST_CASE("any_store: an operator finds and frees a key, whichever way the store is called") {
    asio::io_context context;
    idempo::any_store erased(idempo::memory_store(), context.get_executor());
    idempo::error_code error;
    auto const claim = claim_of(1);
    static_cast<void>(erased.direct()->claim(claim, error));
    SECTION("asynchronously") {
        auto info = erased.async_peek(claim.key, asio::use_future);
        auto is_gone = erased.async_forget(claim.key, asio::use_future);
        context.run();
        CHECK(info.get().value_or(idempo::record_info{.attempt = 0}).attempt == 1);
        CHECK(is_gone.get());
    }
    SECTION("synchronously") {
        auto blocking = idempo::blocking(erased);
        CHECK(blocking.peek(claim.key, error).value_or(idempo::record_info{.attempt = 0}).attempt == 1);
        CHECK(blocking.forget(claim.key, error));
    }
    CHECK_FALSE(erased.direct()->peek(claim.key, error));
}
