// SPDX-License-Identifier: MIT
#include <idempo/stores/ready.hpp>

#include "support/catch.hpp"
#include "support/posted_store.hpp"

#include <idempo/stores/any_store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

/// A store that never answers a claim.
class silent_store {
public:
    explicit silent_store(asio::any_io_executor executor) : store_(idempo::memory_store(), std::move(executor)) {}
    [[nodiscard]] asio::any_io_executor get_executor() const { return store_.get_executor(); }
    template <class Token>
    auto async_claim(idempo::claim_request, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code, idempo::claim_result)>([](auto) {}, token);
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

template <class Store>
std::optional<idempo::error_code> outcome_of(Store store, std::chrono::milliseconds within, asio::io_context& context) {
    std::optional<idempo::error_code> told;
    idempo::async_ready(std::move(store), within, [&](idempo::error_code error) { told = error; });
    CHECK_FALSE(told);
    context.run();
    context.restart();
    return told;
}

}  // namespace

TEST_CASE("ready: a store that can take a claim is ready, and nothing stays behind", "[ready]") {
    idempo::memory_store store;
    CHECK_FALSE(idempo::ready(store));
    CHECK(store.size() == 0);

    asio::io_context context;
    idempo::any_store const erased(store, context.get_executor());
    CHECK(outcome_of(erased, 1min, context) == idempo::error_code());
    CHECK(store.size() == 0);
}

TEST_CASE("ready: a full store is not", "[ready]") {
    idempo::memory_store store({.max_records = 1});
    auto const only = idempo::detail::readiness_claim();
    idempo::error_code error;
    static_cast<void>(store.claim(
        {.key = {}, .fingerprint = {}, .fencing_token = only.fencing_token, .lease = 1h, .retention = 1h}, error));
    CHECK(idempo::ready(store) == idempo::error::store_full);

    asio::io_context context;
    idempo::any_store const erased(store, context.get_executor());
    CHECK(outcome_of(erased, 1min, context) == idempo::error_code(idempo::error::store_full));
}

TEST_CASE("ready: a store that does not answer is not ready when the time is over", "[ready]") {
    asio::io_context context;
    CHECK(outcome_of(silent_store(context.get_executor()), 1ms, context) ==
          idempo::error_code(idempo::error::store_timed_out));
}

TEST_CASE("ready: the handler's own executor is kept at work until it is called", "[ready]") {
    asio::io_context context;
    asio::io_context own;
    idempo::any_store const erased(idempo::memory_store(), context.get_executor());
    bool is_called = false;
    idempo::async_ready(erased, 1min, asio::bind_executor(own, [&](idempo::error_code) { is_called = true; }));
    own.poll();
    CHECK_FALSE(own.stopped());
    context.run();
    own.run();
    CHECK(is_called);
}
