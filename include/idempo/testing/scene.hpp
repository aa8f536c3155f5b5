// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// \file
/// The tools of a contract check: claimers of one new key, passing time, and a report.

namespace idempo::testing {

/// A key that nobody has used in any store.
[[nodiscard]] inline store_key unused_key() {
    store_key key;
    for (auto to = key.bytes.begin(); to != key.bytes.end();)
        to = std::ranges::copy(make_fencing_token().bytes, to).out;
    return key;
}

inline std::string describe(granted const& answer) { return "granted, attempt " + std::to_string(answer.attempt); }
inline std::string describe(in_flight const&) { return "in_flight"; }
inline std::string describe(mismatch const&) { return "mismatch"; }
inline std::string describe(completed const& answer) {
    return "completed with " + std::to_string(answer.record.size()) + " bytes";
}
inline std::string describe(expired const& answer) { return "expired, attempt " + std::to_string(answer.attempt); }
inline std::string describe(parked const& answer) { return "parked, attempt " + std::to_string(answer.attempt); }
inline std::string describe(remembered const&) { return "remembered"; }
inline std::string describe(done const&) { return "done"; }

template <class... Answers>
std::string describe(std::variant<Answers...> const& answer) {
    return std::visit([](auto const& alternative) { return describe(alternative); }, answer);
}

/// One request's execution, with a fencing token of its own.
/// \throws boost::system::system_error if the store reports an error.
template <store Store>
struct claimer {
    Store store;
    store_key key;
    idempo::fingerprint fingerprint;
    std::chrono::milliseconds lease;
    std::chrono::milliseconds retention;
    idempo::fencing_token fencing_token = make_fencing_token();
    std::chrono::milliseconds remember{};

    claim_result claim(bool take_over = true) {
        return checked([&](error_code& ec) {
            return store.claim({key, fingerprint, fencing_token, lease, retention, take_over, false, remember}, ec);
        });
    }

    /// A claim of a parked record, to find out what became of it.
    claim_result claim_parked() {
        return checked([&](error_code& ec) {
            return store.claim({key, fingerprint, fencing_token, lease, retention, true, true, remember}, ec);
        });
    }

    complete_result complete(std::string_view bytes) {
        return checked([&](error_code& ec) {
            return store.complete({key, fingerprint, fencing_token, shared_bytes(bytes), retention, remember}, ec);
        });
    }

    void abandon() {
        checked([&](error_code& ec) {
            store.abandon(key, fencing_token, ec);
            return true;
        });
    }

    bool renew(std::chrono::milliseconds from_now)
        requires renewable_store<Store>
    {
        return checked([&](error_code& ec) { return store.renew(key, fencing_token, from_now, ec); });
    }

    /// \param index how many steps the record has before it
    bool save_step(std::size_t offset, std::string_view step, std::size_t index = 0)
        requires checkpointing_store<Store>
    {
        return checked([&](error_code& ec) {
            return store.save_step({key, fencing_token, offset, shared_bytes(step), index, fingerprint}, ec);
        });
    }

    bool park(std::string_view reason)
        requires parking_store<Store>
    {
        return checked([&](error_code& ec) {
            return store.park({key, fingerprint, fencing_token, shared_bytes(reason), retention, remember}, ec);
        });
    }

    /// With the bytes of a response, or without one.
    bool settle(unsigned attempt, std::optional<std::string_view> bytes)
        requires parking_store<Store>
    {
        std::optional<shared_bytes> record;
        if (bytes) record = shared_bytes(*bytes);
        return checked([&](error_code& ec) { return store.settle({key, attempt, record, retention}, ec); });
    }

private:
    template <class Operation>
    static auto checked(Operation operation) {
        error_code ec;
        auto result = operation(ec);
        if (ec) throw boost::system::system_error(ec);
        return result;
    }
};

/// A check's key, its claimers and its findings. Durations are in units of the fixture's time unit.
template <store_fixture Fixture>
class scene {
public:
    using store_type = fixture_store<Fixture>;

    /// Longer than any check lasts.
    static constexpr int very_long = 1000;

    /// Random choices follow from `seed`.
    scene(Fixture& fixture, std::uint64_t seed) : fixture_(fixture), seed_(seed) {}

    [[nodiscard]] Fixture& fixture() noexcept { return fixture_; }
    [[nodiscard]] store_type store() { return fixture_.store(); }
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
    [[nodiscard]] store_key const& key() const noexcept { return key_; }
    [[nodiscard]] std::chrono::milliseconds units(int count) const { return count * fixture_.time_unit(); }

    void advance(int count) {
        fixture_.advance(units(count));
        advanced_ += units(count);
    }

    /// Whether more real time has passed than `advance` was asked for, by more than a unit. A lease that should still
    /// run may then have ended on the store's clock.
    [[nodiscard]] bool was_slow() const { return clock::now() - start_ > advanced_ + units(1); }

    /// From here on, claimers use another key.
    void change_key() { key_ = unused_key(); }

    /// A claimer of the key; any two of them are rivals.
    [[nodiscard]] claimer<store_type> rival(int lease = very_long, int retention = very_long) {
        return {store(), key_, {{1}}, units(lease), units(retention)};
    }

    /// A claimer of the same key with another request.
    [[nodiscard]] claimer<store_type> stranger() { return {store(), key_, {{2}}, units(very_long), units(very_long)}; }

    void expect(bool holds, std::string_view what) {
        if (!holds) violations_.emplace_back(what);
    }

    /// Returns the wanted alternative, or a value-initialised one if the answer is another.
    template <class Wanted, class... Answers>
    Wanted expect(std::variant<Answers...> answer, std::string_view when) {
        if (auto* const wanted = std::get_if<Wanted>(&answer)) return std::move(*wanted);
        violations_.push_back(std::string(when) + ": expected " + describe(Wanted{}) + ", not " + describe(answer));
        return {};
    }

    void expect_granted(claim_result const& answer, unsigned attempt, std::string_view when) {
        auto const* const grant = std::get_if<granted>(&answer);
        if (grant != nullptr && grant->attempt == attempt) return;
        violations_.push_back(std::string(when) + ": expected " + describe(granted{attempt}) + ", not " +
                              describe(answer));
    }

    void expect_steps(claim_result const& answer, unsigned attempt, std::string_view steps, std::string_view when) {
        expect_granted(answer, attempt, when);
        auto const* const grant = std::get_if<granted>(&answer);
        expect(grant != nullptr && grant->steps.view() == steps, std::string(when) + ": the steps are not those kept");
    }

    void expect_parked(claim_result answer, unsigned attempt, std::string_view reason, std::string_view when) {
        auto const found = expect<parked>(std::move(answer), when);
        expect(found.attempt == attempt, std::string(when) + ": the attempt is not the one that was parked");
        expect(found.reason.view() == reason, std::string(when) + ": the reason is not the one that was given");
    }

    template <class... Answers>
    void expect_completed(std::variant<Answers...> const& answer, std::string_view bytes, std::string_view when) {
        auto const found = expect<completed>(answer, when);
        expect(found.record.view() == bytes, std::string(when) + ": the bytes are not those of the first Complete");
    }

    [[nodiscard]] std::vector<std::string> take_violations() noexcept { return std::move(violations_); }

private:
    using clock = std::chrono::steady_clock;

    Fixture& fixture_;
    std::uint64_t seed_;
    store_key key_ = unused_key();
    clock::time_point start_ = clock::now();
    clock::duration advanced_{};
    std::vector<std::string> violations_;
};

}  // namespace idempo::testing
