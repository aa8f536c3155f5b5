// SPDX-License-Identifier: MIT
#include <idempo/stores/blocking.hpp>

#include "support/catch.hpp"
#include "support/posted_store.hpp"
#include "support/requests.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

/// A store whose executor has ended: it drops what it is asked to complete.
class ended_store {
public:
    [[nodiscard]] asio::any_io_executor get_executor() const { return asio::system_executor(); }
    template <class Token>
    auto async_claim(idempo::claim_request, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code, idempo::claim_result)>([](auto&&) {}, token);
    }
    template <class Token>
    auto async_complete(idempo::complete_request, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code, idempo::complete_result)>([](auto&&) {}, token);
    }
    template <class Token>
    auto async_abandon(idempo::store_key, idempo::fencing_token, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code)>([](auto&&) {}, token);
    }
    template <class Token>
    auto async_renew(idempo::store_key, idempo::fencing_token, std::chrono::milliseconds, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code, bool)>([](auto&&) {}, token);
    }
};

/// A store whose server is silent: it keeps what it is to complete.
class silent_store {
public:
    explicit silent_store(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return executor_; }
    template <class Token>
    auto async_claim(idempo::claim_request, Token&& token) {
        return keep<void(idempo::error_code, idempo::claim_result)>(token);
    }
    template <class Token>
    auto async_complete(idempo::complete_request, Token&& token) {
        return keep<void(idempo::error_code, idempo::complete_result)>(token);
    }
    template <class Token>
    auto async_abandon(idempo::store_key, idempo::fencing_token, Token&& token) {
        return keep<void(idempo::error_code)>(token);
    }

private:
    template <class Signature, class Token>
    auto keep(Token& token) {
        return asio::async_initiate<Token, Signature>(
            [kept = kept_](auto handler) {
                *kept = std::make_shared<std::decay_t<decltype(handler)>>(std::move(handler));
            },
            token);
    }

    asio::any_io_executor executor_;
    std::shared_ptr<std::shared_ptr<void>> kept_ = std::make_shared<std::shared_ptr<void>>();
};

/// A store whose server fails a claim, and is silent after that.
class failing_store : public silent_store {
public:
    explicit failing_store(asio::any_io_executor executor) : silent_store(std::move(executor)) {}

    template <class Token>
    auto async_claim(idempo::claim_request, Token&& token) {
        return asio::async_initiate<Token, void(idempo::error_code, idempo::claim_result)>(
            [executor = get_executor()](auto handler) {
                idempo::error_code const error = idempo::error::store_unavailable;
                asio::post(executor, asio::append(std::move(handler), error, idempo::claim_result()));
            },
            token);
    }
};

using blocked_memory = idempo::blocking_store<posted_store<idempo::memory_store>>;
static_assert(idempo::store<blocked_memory>);
static_assert(idempo::renewable_store<blocked_memory>);
static_assert(!idempo::nonblocking_store<blocked_memory>);

idempo::claim_request claim_of(unsigned char key) {
    idempo::claim_request request;
    request.key.bytes[0] = key;
    request.fencing_token = idempo::make_fencing_token();
    request.lease = request.retention = 1h;
    return request;
}

template <class Store>
void check_calls(Store store) {
    idempo::error_code error;
    auto const claim = claim_of(1);
    CHECK(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
    CHECK(store.renew(claim.key, claim.fencing_token, 1h, error));
    CHECK_FALSE(store.renew(claim.key, {}, 1h, error));
    CHECK(std::holds_alternative<idempo::in_flight>(store.claim(claim_of(1), error)));
    store.abandon(claim.key, claim.fencing_token, error);
    auto const second = claim_of(1);
    CHECK(std::holds_alternative<idempo::granted>(store.claim(second, error)));
    idempo::complete_request const complete{
        second.key, {}, second.fencing_token, idempo::shared_bytes(std::string_view("record")), 1h};
    CHECK(std::holds_alternative<idempo::done>(store.complete(complete, error)));
    CHECK(std::holds_alternative<idempo::completed>(store.claim(claim_of(1), error)));
    CHECK_FALSE(error);
}

}  // namespace

TEST_CASE("blocking: each call waits for the answer", "[blocking]") {
    asio::thread_pool threads(1);
    SECTION("an asynchronous store") {
        check_calls(idempo::blocking(posted_store(idempo::memory_store(), threads.get_executor())));
    }
    SECTION("any_store of an asynchronous one") {
        check_calls(idempo::blocking(idempo::any_store(posted_store(idempo::memory_store(), threads.get_executor()))));
    }
    SECTION("any_store of one that never blocks, whose executor nobody runs") {
        asio::io_context context;
        check_calls(idempo::blocking(idempo::any_store(idempo::memory_store(), context.get_executor())));
    }
    SECTION("a store that is made on the adapter's own thread") {
        check_calls(idempo::blocking(
            [](asio::any_io_executor executor) { return posted_store(idempo::memory_store(), std::move(executor)); }));
    }
}

TEST_CASE("blocking: a store whose executor ended is unavailable and does not hang", "[blocking]") {
    auto store = idempo::blocking(ended_store());
    idempo::error_code error;
    store.claim(claim_of(1), error);
    CHECK(error == idempo::error::store_unavailable);
    error.clear();
    store.complete({}, error);
    CHECK(error == idempo::error::store_unavailable);
    error.clear();
    store.abandon({}, {}, error);
    CHECK(error == idempo::error::store_unavailable);
    error.clear();
    CHECK_FALSE(store.renew({}, {}, 1s, error));
    CHECK(error == idempo::error::store_unavailable);

    auto const wrapped = idempo::idempotency(store) | [](text_request const&) { return text_response(); };
    CHECK(wrapped(keyed_request()).result_int() == 503);
}

TEST_CASE("blocking: an executor that is destroyed while a call waits ends the call", "[blocking]") {
    auto context = std::make_unique<asio::io_context>();
    auto store = idempo::blocking(posted_store(idempo::memory_store(), context->get_executor()));
    auto call = std::async(std::launch::async, [&] {
        idempo::error_code error;
        store.claim(claim_of(1), error);
        return error;
    });
    // One turn: the call is then between its two turns, and nobody will run the second.
    while (context->run_one_for(10ms) == 0) context->restart();
    context.reset();
    CHECK(call.get() == idempo::error::store_unavailable);
}

TEST_CASE("blocking: errors come through, and a later success clears them", "[blocking]") {
    asio::thread_pool threads(1);
    idempo::memory_store const full({.max_records = 1});
    auto store = idempo::blocking(posted_store(full, threads.get_executor()));
    idempo::error_code error;
    auto const claim = claim_of(1);
    store.claim(claim, error);
    store.claim(claim_of(2), error);
    CHECK(error == idempo::error::store_full);
    store.abandon(claim.key, claim.fencing_token, error);
    CHECK_FALSE(error);
}

TEST_CASE("blocking: a call ends with an error when the store's context is stopped", "[blocking]") {
    asio::io_context context;
    auto const work = asio::make_work_guard(context);
    std::thread thread([&context] { context.run(); });
    bool const on_strand = GENERATE(false, true);
    asio::any_io_executor executor = context.get_executor();
    if (on_strand) executor = asio::make_strand(executor);
    auto store = idempo::blocking(silent_store(executor));
    auto calls = std::async(std::launch::async, [store]() mutable {
        std::vector<idempo::error_code> errors(3);
        store.claim(claim_of(1), errors[0]);
        store.complete({}, errors[1]);
        store.abandon({}, {}, errors[2]);
        return errors;
    });
    context.stop();
    thread.join();
    for (auto const& error : calls.get()) CHECK(error == idempo::error::store_unavailable);
}

TEST_CASE("blocking: a call ends with an error after the timeout", "[blocking]") {
    asio::thread_pool threads(1);
    auto store = idempo::blocking(silent_store(threads.get_executor()), 10ms);
    idempo::error_code error;
    store.claim(claim_of(1), error);
    CHECK(error == idempo::error::store_timed_out);
}

TEST_CASE("blocking: a claim that failed is given up without waiting for the store", "[blocking]") {
    asio::thread_pool threads(1);
    auto const handle = idempo::idempotency(idempo::blocking(failing_store(threads.get_executor()), 24h)) |
                        [](text_request const&) { return text_response(); };
    CHECK(handle(keyed_request()).result_int() == 503);  // or it would not return before the store's timeout
}
