// SPDX-License-Identifier: MIT
#include <idempo/stores/sealed.hpp>

#include "support/catch.hpp"
#include "support/manual_clock.hpp"
#include "support/requests.hpp"

#include <idempo/detail/step_log.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/stores/settle.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
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
static_assert(idempo::checkpointing_store<sealed_memory> && idempo::parking_store<sealed_memory>);
static_assert(!idempo::async_store<sealed_memory>);
using sealed_offloaded = idempo::sealed_store<idempo::offloaded_store<idempo::memory_store>>;
static_assert(idempo::async_renewable_store<sealed_offloaded>);
static_assert(idempo::async_checkpointing_store<sealed_offloaded> && idempo::async_parking_store<sealed_offloaded>);
static_assert(!idempo::store<sealed_offloaded>);
static_assert(idempo::async_renewable_store<idempo::sealed_store<idempo::any_store>>);
static_assert(std::is_constructible_v<idempo::any_store, idempo::sealed_store<idempo::any_store>>);
static_assert(idempo::renewable_store<idempo::sealed_store<idempo::blocking_store<idempo::any_store>>>);
static_assert(idempo::detail::self_renewing_store<idempo::sealed_store<idempo::blocking_store<idempo::any_store>>>);

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

constexpr std::string_view first_step = "authorised: 4242-4200";
constexpr std::string_view second_step = "captured..: 4242-4200";
constexpr std::size_t sealed_step_bytes = 37 + first_step.size();

/// A record with two sealed steps, whose lease has ended.
struct step_scene : scene {
    step_scene() {
        auto store = with({{1, first_secret}});
        idempo::error_code error;
        auto const by = idempo::make_fencing_token();
        static_cast<void>(store.claim({key, fingerprint, by, 0ms, 1h}, error));
        REQUIRE(store.save_step({key, by, 0, idempo::shared_bytes(first_step), 0, fingerprint}, error));
        REQUIRE(
            store.save_step({key, by, first_step.size(), idempo::shared_bytes(second_step), 1, fingerprint}, error));
    }

    /// What a takeover is told.
    template <class Store>
    static idempo::granted take_over(Store store, idempo::store_key const& under, idempo::fingerprint const& asked,
                                     idempo::error_code& error) {
        auto const by = idempo::make_fencing_token();
        auto const result = store.claim({under, asked, by, 0ms, 1h}, error);
        if (error) return {};
        auto const* const grant = std::get_if<idempo::granted>(&result);
        REQUIRE(grant != nullptr);
        return *grant;
    }

    std::string stored_steps() {
        idempo::error_code error;
        auto const grant = take_over(inner, key, fingerprint, error);
        REQUIRE(!error);
        return std::string(grant.steps.view());
    }

    /// Whether these bytes open as the steps of that record.
    bool opens(std::string_view steps, idempo::store_key const& under, idempo::fingerprint const& asked,
               std::string_view expected) {
        idempo::error_code error;
        inner.forget(under, error);
        auto const by = idempo::make_fencing_token();
        static_cast<void>(inner.claim({under, asked, by, 0ms, 1h}, error));
        REQUIRE(inner.save_step({under, by, 0, idempo::shared_bytes(steps)}, error));
        auto const grant = take_over(with({{1, first_secret}}), under, asked, error);
        if (error) CHECK(error == idempo::error::record_unreadable);
        return !error && grant.steps.view() == expected;
    }
    bool opens(std::string_view steps, std::string_view expected) { return opens(steps, key, fingerprint, expected); }

    static std::string both() { return std::string(first_step).append(second_step); }
};

bool has_any_of(std::string_view text, std::string_view secret) {
    for (std::size_t at = 0; at + 4 <= secret.size(); ++at) {
        if (text.find(secret.substr(at, 4)) != std::string_view::npos) return true;
    }
    return false;
}

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

TEST_CASE("sealed: nothing of a step is in the store, and a takeover is told each", "[sealed]") {
    step_scene scene;
    auto const stored = scene.stored_steps();
    CHECK(stored.size() == 2 * sealed_step_bytes);
    CHECK_FALSE(has_any_of(stored, first_step));
    CHECK_FALSE(has_any_of(stored, second_step));
    idempo::error_code error;
    auto const grant = scene.take_over(scene.with({{1, first_secret}}), scene.key, scene.fingerprint, error);
    CHECK_FALSE(error);
    CHECK(grant.steps.view() == scene.both());
    CHECK(grant.sealed_steps == 2);
}

TEST_CASE("sealed: a step opens under its own key and request, and in its own place", "[sealed]") {
    step_scene scene;
    auto const stored = scene.stored_steps();
    auto const first = stored.substr(0, sealed_step_bytes);
    auto const second = stored.substr(sealed_step_bytes);
    CHECK(scene.opens(stored, scene.both()));
    CHECK_FALSE(scene.opens(stored, {{9}}, scene.fingerprint, scene.both()));
    CHECK_FALSE(scene.opens(stored, scene.key, {{3}}, scene.both()));
    CHECK_FALSE(scene.opens(second + first, std::string(second_step).append(first_step)));
    CHECK_FALSE(scene.opens(first + first, std::string(first_step).append(first_step)));
    CHECK_FALSE(scene.opens(second, second_step));
}

TEST_CASE("sealed: a step that was changed or cut anywhere does not open", "[sealed]") {
    step_scene scene;
    auto const stored = scene.stored_steps();
    for (std::size_t at = 0; at < stored.size(); ++at) {
        INFO("byte " << at);
        auto changed = stored;
        changed[at] = static_cast<char>(changed[at] ^ 0x10);
        CHECK_FALSE(scene.opens(changed, scene.both()));
        // Whole steps can be taken away from the end, as whole records can.
        bool const is_whole = at == 0 || at == sealed_step_bytes;
        CHECK(scene.opens(stored.substr(0, at), stored.substr(0, at).empty() ? "" : first_step) == is_whole);
    }
    CHECK_FALSE(scene.opens(stored + '\0', scene.both()));
}

TEST_CASE("sealed: no record opens as a step, no step as a record, no reason as either", "[sealed]") {
    idempo::detail::record_seal const seal(one_key());
    idempo::detail::seal_context const whose{{{1}}, {}};  // of zeros, as where nobody knows the fingerprint
    idempo::shared_bytes const secret(secret_answer);
    auto const record = seal.seal(whose, secret, 1h);
    auto const settled = seal.seal_settled(whose.key, secret, 1h);
    auto const step = seal.seal_step(whose, 0, secret);
    auto const reason = seal.seal_reason(whose.key, secret.view());
    CHECK(seal.open(whose, record));
    CHECK(seal.open(whose, settled));
    CHECK(seal.open_steps(whose, step.view()));
    CHECK(seal.open_reason(whose.key, reason).view() == secret.view());
    for (auto const& each : {record, settled, step, reason}) {
        for (unsigned form = 0x81; form <= 0x84; ++form) {
            std::string as(each.view());
            if (static_cast<unsigned char>(as[0]) == form) continue;
            as[0] = static_cast<char>(form);
            INFO("form " << form);
            CHECK_FALSE(seal.open(whose, idempo::shared_bytes(as)));
            CHECK_FALSE(seal.open_steps(whose, as));
            CHECK(seal.open_reason(whose.key, idempo::shared_bytes(as)).empty());
        }
    }
}

TEST_CASE("sealed: steps open under every key that is known, and without it no handler runs", "[sealed]") {
    step_scene scene;
    idempo::error_code error;
    auto const both = scene.with({{2, second_secret}, {1, first_secret}});
    CHECK(scene.take_over(both, scene.key, scene.fingerprint, error).sealed_steps == 2);
    CHECK_FALSE(error);
    auto const grant = scene.take_over(scene.with({{2, second_secret}}), scene.key, scene.fingerprint, error);
    CHECK(error == idempo::error::record_unreadable);
    CHECK(grant.steps.empty());
}

TEST_CASE("sealed: steps of before the sealing are read, and followed, where that is allowed", "[sealed]") {
    scene scene;
    auto const old_step = idempo::detail::step_log({}, {}).entry("authorise", first_step);
    auto const by = idempo::make_fencing_token();
    idempo::error_code error;
    static_cast<void>(scene.inner.claim({scene.key, scene.fingerprint, by, 0ms, 1h}, error));
    REQUIRE(scene.inner.save_step({scene.key, by, 0, idempo::shared_bytes(old_step)}, error));
    static_cast<void>(step_scene::take_over(scene.with({{1, first_secret}}), scene.key, scene.fingerprint, error));
    CHECK(error == idempo::error::record_unreadable);

    auto introduced = scene.with({{1, first_secret}}, true);
    auto const next = idempo::make_fencing_token();
    auto const result = introduced.claim({scene.key, scene.fingerprint, next, 0ms, 1h}, error);
    REQUIRE(std::holds_alternative<idempo::granted>(result));
    auto const& grant = std::get<idempo::granted>(result);
    CHECK(grant.steps.view() == old_step);
    CHECK(grant.sealed_steps == 0);
    idempo::step_request const step{
        scene.key, next, old_step.size(), idempo::shared_bytes(second_step), grant.sealed_steps, scene.fingerprint};
    CHECK(introduced.save_step(step, error));
    auto const again = step_scene::take_over(introduced, scene.key, scene.fingerprint, error);
    CHECK(again.steps.view() == old_step + std::string(second_step));
    CHECK(again.sealed_steps == 1);
}

TEST_CASE("sealed: a handler goes on after its last step", "[sealed]") {
    idempo::memory_store inner;
    std::vector<std::string> effects;
    bool fails = true;
    auto const pay = [&](text_request const&, idempo::execution& execution) {
        auto const make = [&](std::string_view label) {
            return execution.step(label, [&](std::string const&) {
                effects.emplace_back(label);
                return "result of " + std::string(label);
            });
        };
        auto const first = make("authorise");
        auto const second = make("capture");
        if (std::exchange(fails, false)) throw std::runtime_error("the process dies");
        text_response response(http::status::created, 11);
        response.body() = first + ", " + second + ", " + make("notify");
        response.prepare_payload();
        return response;
    };
    auto const handle = idempo::idempotency(idempo::sealed(inner, one_key())) | pay;
    CHECK_THROWS_AS(read(handle(keyed_request())), std::runtime_error);
    auto const other = idempo::idempotency(idempo::sealed(inner, {.keys = {{1, second_secret}}})) | pay;
    CHECK(read(other(keyed_request())).result_int() == 503);
    CHECK(effects == std::vector<std::string>{"authorise", "capture"});
    CHECK(read(handle(keyed_request())).body() == "result of authorise, result of capture, result of notify");
    CHECK(read(handle(keyed_request()))["Idempotency-Replayed"] == "true");
    CHECK(effects == std::vector<std::string>{"authorise", "capture", "notify"});
}

TEST_CASE("sealed: a record that is parked and settled shows neither reason nor answer", "[sealed]") {
    scene scene;
    auto const reason = GENERATE(std::string("the bank did not answer about 4242"), std::string(1024, 'r'));
    auto store = scene.with({{1, first_secret}});
    auto const by = idempo::make_fencing_token();
    idempo::error_code error;
    static_cast<void>(store.claim({scene.key, scene.fingerprint, by, 1min, 1h}, error));
    REQUIRE(store.park({scene.key, scene.fingerprint, by, idempo::shared_bytes(reason), 1h}, error));
    auto const inside = scene.inner.peek(scene.key, error);
    REQUIRE(inside);
    CHECK(inside->reason.size() <= idempo::largest_park_reason);
    CHECK_FALSE(has_any_of(inside->reason, "the bank did not answer about 4242"));
    auto const kept = reason.substr(0, 1024 - 33);
    CHECK(store.peek(scene.key, error)->reason == kept);
    CHECK(store.list({.after = {}, .limit = 10, .state = {}, .digits = {}}, error).records.at(0).info.reason == kept);
    auto const met = store.claim({scene.key, scene.fingerprint, idempo::make_fencing_token(), 1min, 1h}, error);
    REQUIRE(std::holds_alternative<idempo::parked>(met));
    CHECK(std::get<idempo::parked>(met).reason.view() == kept);
    CHECK(scene.with({{1, second_secret}}).peek(scene.key, error)->reason.empty());

    REQUIRE(idempo::settle(store, {scene.key, 1, idempo::shared_bytes(secret_answer), 1h}, {}, error));
    CHECK(scene.read(store, scene.key, scene.fingerprint) == secret_answer);
    CHECK_FALSE(has_any_of(scene.stored(), secret_answer));
    CHECK(scene.read(store, scene.plant(scene.stored(), scene.fingerprint), scene.fingerprint).empty());
}

TEST_CASE("sealed: the type of a sealed store can be erased, and the store inside, too", "[sealed]") {
    idempo::blocking_store<idempo::any_store> store([](asio::any_io_executor executor) {
        idempo::any_store inside(idempo::memory_store(), std::move(executor));
        return idempo::any_store(idempo::sealed(std::move(inside), one_key()));
    });
    idempo::error_code error;
    idempo::claim_request const claim{{}, {}, idempo::make_fencing_token(), 1h, 1h};
    REQUIRE(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
    auto const answer = idempo::make_tombstone(201);
    static_cast<void>(store.complete({{}, {}, claim.fencing_token, answer, 1h}, error));
    REQUIRE_FALSE(error);
    auto const met = store.claim({{}, {}, idempo::make_fencing_token(), 1h, 1h}, error);
    REQUIRE(std::holds_alternative<idempo::completed>(met));
    CHECK(std::get<idempo::completed>(met).record.view() == answer.view());
}
