// SPDX-License-Identifier: MIT
#include <idempo/stores/sealed.hpp>

#include "support/catch.hpp"
#include "support/manual_clock.hpp"
#include "support/requests.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

std::string const first_secret(32, 'a');
std::string const second_secret(32, 'b');

idempo::seal_options one_key() { return {.keys = {{1, first_secret}}}; }

using sealed_memory = idempo::sealed_store<idempo::memory_store>;
static_assert(idempo::nonblocking_store<sealed_memory>);
static_assert(idempo::inspectable_store<sealed_memory>);
static_assert(!idempo::async_store<sealed_memory>);
using sealed_offloaded = idempo::sealed_store<idempo::offloaded_store<idempo::memory_store>>;
static_assert(idempo::async_renewable_store<sealed_offloaded>);
static_assert(!idempo::store<sealed_offloaded>);
static_assert(idempo::async_renewable_store<idempo::sealed_store<idempo::any_store>>);
static_assert(idempo::renewable_store<idempo::sealed_store<idempo::blocking_store<idempo::any_store>>>);

class sealed_fixture {
public:
    sealed_memory store() { return store_; }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    sealed_memory store_ = idempo::sealed(idempo::memory_store({.clock = clock_}), one_key());
};

class sealed_async_fixture {
public:
    auto store() { return store_; }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    asio::thread_pool threads_{2};
    idempo::blocking_store<sealed_offloaded> store_ = idempo::blocking(
        idempo::sealed(idempo::offload(idempo::memory_store({.clock = clock_}), threads_.get_executor()), one_key()));
};

constexpr std::string_view secret_answer = "card ending 4242, authorised for 4200 cents";

/// A store that somebody can read and write behind the seal.
struct scene {
    idempo::memory_store inner;
    idempo::store_key key{{1}};
    idempo::fingerprint fingerprint{{2}};
    std::chrono::system_clock::time_point now{std::chrono::hours{500'000}};

    sealed_memory with(std::vector<idempo::seal_key> keys, bool reads_unsealed = false) {
        return idempo::sealed(
            inner, {.keys = std::move(keys), .reads_unsealed = reads_unsealed, .clock = [this] { return now; }});
    }

    void complete(sealed_memory store, idempo::store_key const& under, std::string_view answer = secret_answer) {
        idempo::error_code error;
        auto const result =
            store.complete({under, fingerprint, idempo::make_fencing_token(), idempo::shared_bytes(answer), 1h}, error);
        REQUIRE(!error);
        REQUIRE(std::holds_alternative<idempo::done>(result));
    }

    /// What a claim finds: the record's bytes. The test fails where it finds anything but a completed record.
    template <class Store>
    static std::string read(Store store, idempo::store_key const& under, idempo::fingerprint const& asked) {
        idempo::error_code error;
        auto const result = store.claim({under, asked, idempo::make_fencing_token(), 1min, 1h}, error);
        REQUIRE(!error);
        auto const* const met = std::get_if<idempo::completed>(&result);
        REQUIRE(met != nullptr);
        return std::string(met->record.view());
    }

    std::string stored() { return read(inner, key, fingerprint); }

    /// Puts bytes into the store under another key.
    idempo::store_key plant(std::string_view bytes, idempo::fingerprint const& asked) {
        idempo::store_key under;
        under.bytes[31] = ++planted_;
        under.bytes[30] = static_cast<unsigned char>(planted_ >> 8U);
        put(under, bytes, asked);
        return under;
    }

    /// Replaces what the store has under a key.
    void put(idempo::store_key const& under, std::string_view bytes, idempo::fingerprint const& asked) {
        idempo::error_code error;
        inner.forget(under, error);
        auto const result =
            inner.complete({under, asked, idempo::make_fencing_token(), idempo::shared_bytes(bytes), 1h}, error);
        REQUIRE(!error);
        REQUIRE(std::holds_alternative<idempo::done>(result));
    }

private:
    unsigned char planted_ = 0;
};

}  // namespace

TEST_CASE("sealed: keeps the contract of the store inside", "[sealed]") {
    SECTION("that never blocks") {
        sealed_fixture fixture;
        idempo::testing::store_contract(fixture);
    }
    SECTION("that is asynchronous") {
        sealed_async_fixture fixture;
        idempo::testing::store_contract(fixture);
    }
}

TEST_CASE("sealed: nothing of the answer is in the store, and the same answer never looks the same", "[sealed]") {
    scene scene;
    auto const store = scene.with({{1, first_secret}});
    scene.complete(store, scene.key);
    CHECK(scene.read(store, scene.key, scene.fingerprint) == secret_answer);
    auto const first = scene.stored();
    CHECK(first.size() == secret_answer.size() + 41);
    for (std::size_t at = 0; at + 4 <= secret_answer.size(); ++at) {
        CHECK(first.find(secret_answer.substr(at, 4)) == std::string::npos);
    }
    idempo::error_code error;
    scene.inner.forget(scene.key, error);
    scene.complete(store, scene.key);
    CHECK(scene.stored() != first);
    CHECK(scene.stored().substr(25) != first.substr(25));
}

TEST_CASE("sealed: a record opens under its own key and request only", "[sealed]") {
    scene scene;
    auto const store = scene.with({{1, first_secret}});
    scene.complete(store, scene.key);
    auto const bytes = scene.stored();
    CHECK(scene.read(store, scene.plant(bytes, scene.fingerprint), scene.fingerprint).empty());
    idempo::fingerprint const other{{3}};
    scene.put(scene.key, bytes, other);
    CHECK(scene.read(store, scene.key, other).empty());
    scene.put(scene.key, bytes, scene.fingerprint);
    CHECK(scene.read(store, scene.key, scene.fingerprint) == secret_answer);
}

TEST_CASE("sealed: a record that was changed or cut anywhere does not open", "[sealed]") {
    scene scene;
    auto const store = scene.with({{1, first_secret}});
    scene.complete(store, scene.key);
    auto const bytes = scene.stored();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0x10);
        scene.put(scene.key, changed, scene.fingerprint);
        INFO("byte " << at);
        CHECK(scene.read(store, scene.key, scene.fingerprint).empty());
        scene.put(scene.key, bytes.substr(0, at), scene.fingerprint);
        CHECK(scene.read(store, scene.key, scene.fingerprint).empty());
    }
    scene.put(scene.key, bytes + '\0', scene.fingerprint);
    CHECK(scene.read(store, scene.key, scene.fingerprint).empty());
}

TEST_CASE("sealed: an old record that was put back does not open", "[sealed]") {
    scene scene;
    auto const store = scene.with({{1, first_secret}});
    scene.complete(store, scene.key);
    auto const bytes = scene.stored();
    scene.now += 2h;  // the retention, and the tolerance
    CHECK(scene.read(store, scene.key, scene.fingerprint) == secret_answer);
    scene.now += 1ms;
    CHECK(scene.read(store, scene.key, scene.fingerprint).empty());
}

TEST_CASE("sealed: keys rotate, and a key that is forgotten erases its records", "[sealed]") {
    scene scene;
    idempo::store_key const second{{9}};
    auto const old_keys = scene.with({{1, first_secret}});
    auto const both = scene.with({{2, second_secret}, {1, first_secret}});
    auto const prepared = scene.with({{1, first_secret}, {2, second_secret}});
    scene.complete(old_keys, scene.key);
    scene.complete(both, second);
    CHECK(scene.read(both, scene.key, scene.fingerprint) == secret_answer);
    CHECK(scene.read(prepared, second, scene.fingerprint) == secret_answer);
    CHECK(scene.read(old_keys, second, scene.fingerprint).empty());
    auto const new_keys = scene.with({{2, second_secret}});
    CHECK(scene.read(new_keys, second, scene.fingerprint) == secret_answer);
    CHECK(scene.read(new_keys, scene.key, scene.fingerprint).empty());
}

TEST_CASE("sealed: an unsealed record is read only where that is allowed", "[sealed]") {
    scene scene;
    scene.put(scene.key, "\x01 a record of this version", scene.fingerprint);
    CHECK(scene.read(scene.with({{1, first_secret}}), scene.key, scene.fingerprint).empty());
    CHECK(scene.read(scene.with({{1, first_secret}}, true), scene.key, scene.fingerprint) ==
          "\x01 a record of this version");
    scene.put(scene.key, "", scene.fingerprint);
    CHECK(scene.read(scene.with({{1, first_secret}}, true), scene.key, scene.fingerprint).empty());
}

TEST_CASE("sealed: options that protect nothing are refused", "[sealed]") {
    auto options = one_key();
    SECTION("no key") { options.keys.clear(); }
    SECTION("a short secret") { options.keys.push_back({2, std::string(31, 'b')}); }
    SECTION("one id for two secrets") { options.keys.push_back({1, second_secret}); }
    SECTION("a negative tolerance") { options.clock_tolerance = -1ms; }
    SECTION("no clock") { options.clock = nullptr; }
    CHECK_THROWS_AS(idempo::sealed(idempo::memory_store(), options), std::invalid_argument);
}

TEST_CASE("sealed: a middleware replays what it sealed, and runs nothing over a record that does not open",
          "[sealed]") {
    idempo::memory_store const inner;
    int runs = 0;
    auto const handler = [&runs](text_request const&) {
        ++runs;
        text_response response(http::status::created, 11);
        response.body() = secret_answer;
        response.prepare_payload();
        return response;
    };
    auto const handle = idempo::idempotency(idempo::sealed(inner, one_key())) | handler;
    CHECK(read(handle(keyed_request())).body() == secret_answer);
    auto const replay = read(handle(keyed_request()));
    CHECK(replay.body() == secret_answer);
    CHECK(replay["Idempotency-Replayed"] == "true");
    CHECK(runs == 1);

    auto const other = idempo::idempotency(idempo::sealed(inner, {.keys = {{1, second_secret}}})) | handler;
    CHECK(read(other(keyed_request())).result_int() == 500);
    auto const unsealed = idempo::idempotency(inner) | handler;
    CHECK(read(unsealed(keyed_request())).result_int() == 500);
    CHECK(runs == 1);
}

TEST_CASE("sealed: a tombstone fits into the room that a claim reserves", "[sealed]") {
    idempo::memory_store const inner({.max_bytes = std::size_t{64} << 10U});
    idempo::options options;
    options.max_response_body = 16;
    auto const handle = idempo::idempotency(idempo::sealed(inner, one_key()), options) | [](text_request const&) {
        text_response response(http::status::created, 11);
        response.body() = secret_answer;  // too large to be stored
        response.prepare_payload();
        return response;
    };
    CHECK(read(handle(keyed_request())).result_int() == 201);
    CHECK(read(handle(keyed_request())).result_int() == 409);
}
