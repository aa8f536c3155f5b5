// SPDX-License-Identifier: MIT
#pragma once

#include "support/gate.hpp"
#include "support/manual_clock.hpp"

#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::tests {

enum class store_call { claim, complete, abandon, renew, save_step, park, peek, settle };
inline constexpr std::size_t store_calls = 8;

/// The faults of one call of a store.
enum class fault {
    none,
    fails_before,  ///< an error, and nothing was applied
    loses_reply,   ///< applied, and the caller gets an error
    comes_late,    ///< the caller gets an error, and the call is applied after the next one
    is_slow,       ///< the clock passes the lease before the call is applied
    sent_twice,    ///< applied twice, as after a lost connection; the caller gets the second reply
};

/// Decides what happens to the `nth` call, from 0, of all kinds together. Called with a lock held.
using fault_rule = std::function<fault(store_call call, std::size_t nth)>;

/// Every call of one kind.
inline fault_rule every(store_call kind, fault what) {
    return [=](store_call call, std::size_t) { return call == kind ? what : fault::none; };
}

/// The next calls of one kind.
inline fault_rule next(store_call kind, fault what, int times = 1) {
    return [=](store_call call, std::size_t) mutable { return call == kind && times-- > 0 ? what : fault::none; };
}

/// The n-th call from 0, whatever it is, as Beast's `fail_count`.
inline fault_rule nth_call(std::size_t n, fault what) {
    return [=](store_call, std::size_t nth) { return nth == n ? what : fault::none; };
}

/// A share of all calls, one of the given faults each.
inline fault_rule at_random(std::uint32_t seed, double share, std::vector<fault> among) {
    return [share, among = std::move(among), random = std::mt19937(seed)](store_call, std::size_t) mutable {
        if (std::uniform_real_distribution<>(0, 1)(random) >= share) return fault::none;
        return among[std::uniform_int_distribution<std::size_t>(0, among.size() - 1)(random)];
    };
}

/// The plan of the faults of a `fault_store`, and their record. A handle, safe from any thread.
class fault_plan {
public:
    explicit fault_plan(manual_clock clock = {}) : shared_(std::make_shared<shared>(std::move(clock))) {}

    /// Restarts the count of calls.
    void use(fault_rule rule) const {
        std::lock_guard const lock(shared_->mutex);
        shared_->rule = std::move(rule);
        shared_->calls_under_rule = 0;
    }
    void heal() const { use(nullptr); }

    /// The next calls of one kind wait at the gate before they are applied. An empty gate: none does.
    void hold(store_call kind, std::optional<gate> at) const {
        std::lock_guard const lock(shared_->mutex);
        shared_->gates[static_cast<std::size_t>(kind)] = std::move(at);
    }

    /// How far the clock advances in a slow call.
    void slowness(std::chrono::milliseconds span) const { shared_->slowness = span; }

    [[nodiscard]] int calls(store_call kind) const { return shared_->calls[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] int count(fault what) const { return shared_->faults[static_cast<std::size_t>(what)]; }

    /// The records that changed their holder, whether or not the new holder learned of it.
    [[nodiscard]] std::set<store_key> taken_over() const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->taken_over;
    }

    /// \name For the store
    /// @{
    fault begin(store_call kind) const {
        auto const at = gate_of(kind);
        if (at) at->pass();
        auto const what = decide(kind);
        ++shared_->calls[static_cast<std::size_t>(kind)];
        ++shared_->faults[static_cast<std::size_t>(what)];
        if (what == fault::is_slow) shared_->clock.advance(shared_->slowness.load());
        return what;
    }

    void note_takeover(store_key const& key) const {
        std::lock_guard const lock(shared_->mutex);
        shared_->taken_over.insert(key);
    }

    void postpone(std::function<void()> call) const {
        std::lock_guard const lock(shared_->mutex);
        shared_->late.push_back(std::move(call));
    }

    /// Applies late calls.
    void deliver() const {
        std::vector<std::function<void()>> late;
        {
            std::lock_guard const lock(shared_->mutex);
            late.swap(shared_->late);
        }
        for (auto const& call : late) call();
    }
    /// @}

private:
    struct shared {
        explicit shared(manual_clock of_store) : clock(std::move(of_store)) {}

        std::mutex mutex;
        fault_rule rule;
        std::size_t calls_under_rule = 0;
        std::array<std::optional<gate>, store_calls> gates;
        std::vector<std::function<void()>> late;
        std::set<store_key> taken_over;
        std::array<std::atomic<int>, store_calls> calls{};
        std::array<std::atomic<int>, 6> faults{};
        std::atomic<std::chrono::milliseconds> slowness{std::chrono::minutes{2}};
        manual_clock clock;
    };

    std::optional<gate> gate_of(store_call kind) const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->gates[static_cast<std::size_t>(kind)];
    }

    fault decide(store_call kind) const {
        std::lock_guard const lock(shared_->mutex);
        auto const nth = shared_->calls_under_rule++;
        return shared_->rule ? shared_->rule(kind, nth) : fault::none;
    }

    std::shared_ptr<shared> shared_;
};

/// A store whose calls fail according to a plan. It blocks by default; with `never_blocks` it takes the direct path of
/// the middleware instead of the leased one.
template <bool NeverBlocks = false, class Inner = memory_store>
class fault_store {
public:
    static constexpr bool never_blocks = NeverBlocks;
    static constexpr bool remembers_expired = remembering_store<Inner>;

    fault_store(Inner inner, fault_plan plan) : inner_(std::move(inner)), plan_(std::move(plan)) {}

    claim_result claim(claim_request const& request, error_code& error) {
        return perform(store_call::claim, error, [request, plan = plan_](Inner& inner, error_code& failed) {
            auto result = inner.claim(request, failed);
            auto const* const grant = std::get_if<granted>(&result);
            if (grant && grant->attempt > 1) plan.note_takeover(request.key);
            return result;
        });
    }

    complete_result complete(complete_request const& request, error_code& error) {
        return perform(store_call::complete, error,
                       [request](Inner& inner, error_code& failed) { return inner.complete(request, failed); });
    }

    void abandon(store_key const& key, fencing_token const& by, error_code& error) {
        perform(store_call::abandon, error, [key, by](Inner& inner, error_code& failed) {
            inner.abandon(key, by, failed);
            return true;
        });
    }

    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease, error_code& error) {
        return perform(store_call::renew, error, [key, by, lease](Inner& inner, error_code& failed) {
            return inner.renew(key, by, lease, failed);
        });
    }

    bool save_step(step_request const& step, error_code& error)
        requires checkpointing_store<Inner>
    {
        return perform(store_call::save_step, error,
                       [step](Inner& inner, error_code& failed) { return inner.save_step(step, failed); });
    }

    bool park(park_request const& request, error_code& error)
        requires parking_store<Inner>
    {
        return perform(store_call::park, error,
                       [request](Inner& inner, error_code& failed) { return inner.park(request, failed); });
    }

    std::optional<record_info> peek(store_key const& key, error_code& error)
        requires inspectable_store<Inner>
    {
        return perform(store_call::peek, error, [key](Inner& inner, error_code& failed) {
            return static_cast<std::optional<record_info>>(inner.peek(key, failed));
        });
    }

    /// Never fails.
    bool forget(store_key const& key, error_code& error)
        requires inspectable_store<Inner>
    {
        return inner_.forget(key, error);
    }
    bool settle(settle_request const& request, error_code& error)
        requires parking_store<Inner>
    {
        return perform(store_call::settle, error,
                       [request](Inner& inner, error_code& failed) { return inner.settle(request, failed); });
    }

private:
    template <class Operation>
    std::invoke_result_t<Operation&, Inner&, error_code&> perform(store_call kind, error_code& error,
                                                                  Operation operation) {
        error.clear();
        auto const what = plan_.begin(kind);
        if (what == fault::fails_before) {
            error = error::store_unavailable;
            return {};
        }
        if (what == fault::comes_late) {
            plan_.postpone([inner = inner_, operation]() mutable {
                error_code nobody_listens;
                operation(inner, nobody_listens);
            });
            error = error::store_timed_out;
            return {};
        }
        auto result = operation(inner_, error);
        if (what == fault::sent_twice) result = operation(inner_, error);
        plan_.deliver();
        if (what != fault::loses_reply) return result;
        error = error::store_timed_out;
        return {};
    }

    Inner inner_;
    fault_plan plan_;
};

}  // namespace idempo::tests
