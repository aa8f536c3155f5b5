// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// \file
/// Where a handler under test makes its effects: the fake of the bank, the mailer or the table that it calls.

namespace idempo::testing {

/// What ends a simulated process: nothing of it reaches the store any more. No `std::exception`, so that a handler
/// which catches those does not go on.
struct process_death {};

/// The effects that have reached the outside world, whichever process made them.
class effect_ledger {
public:
    void add() { ++unkeyed_; }
    void add(std::string_view key) {
        if (std::ranges::find(keys_, key) == keys_.end()) keys_.emplace_back(key);
    }

    /// Those without a key, and one for each key.
    [[nodiscard]] std::size_t made() const noexcept { return unkeyed_ + keys_.size(); }

    /// The different keys, in the order of their first use.
    [[nodiscard]] std::vector<std::string> const& keys() const noexcept { return keys_; }

private:
    std::size_t unkeyed_ = 0;
    std::vector<std::string> keys_;
};

/// What happens to a simulated process at one of its effects. Both functions may throw.
struct effect_interruption {
    /// Which call of `effect_probe::make` of this process it is, from 0.
    std::size_t at = 0;
    std::function<void()> before{};
    std::function<void()> after{};
};

/// Call `make` where the handler's fake provider would do its work: once for each effect. There the check counts, and
/// lets the provider fail or the process die.
///
/// Not thread-safe: call it on the thread that runs the handler, from a continuation on the executor that the handler
/// was given, at the latest before the handler has answered.
class effect_probe {
public:
    /// \param is_dead whether the process has died; set where the interruption throws `process_death`
    effect_probe(std::shared_ptr<effect_ledger> ledger, effect_interruption interruption, std::shared_ptr<bool> is_dead)
        : ledger_(std::move(ledger)),
          interruption_(std::move(interruption)),
          is_dead_(std::move(is_dead)) {}

    effect_probe(effect_probe const&) = delete;
    effect_probe& operator=(effect_probe const&) = delete;

    /// An effect of a provider that does not recognise a retry: each call is one more.
    /// \throws boost::system::system_error where the provider is to fail
    void make() {
        perform([this] { ledger_->add(); });
    }

    /// An effect of a provider that makes one for each key, whatever number of calls it gets.
    /// \throws boost::system::system_error where the provider is to fail
    void make(std::string_view key) {
        perform([this, key] { ledger_->add(key); });
    }

    /// The same for a provider that reports by error code.
    void make(error_code& error) {
        report(error, [this] { make(); });
    }
    void make(std::string_view key, error_code& error) {
        report(error, [this, key] { make(key); });
    }

    /// The effects so far, by whichever process: what a provider says that can be asked.
    [[nodiscard]] std::size_t made() const noexcept { return ledger_->made(); }

    /// How often `make` was called.
    [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

private:
    template <class Add>
    void perform(Add add) {
        if (*is_dead_) throw process_death{};
        bool const is_interrupted = calls_++ == interruption_.at;
        try {
            if (is_interrupted && interruption_.before) interruption_.before();
            add();
            if (is_interrupted && interruption_.after) interruption_.after();
        } catch (process_death const&) {
            *is_dead_ = true;
            throw;
        }
    }

    template <class Make>
    static void report(error_code& error, Make make) {
        error.clear();
        try {
            make();
        } catch (boost::system::system_error const& failure) {
            error = failure.code();
        }
    }

    std::shared_ptr<effect_ledger> ledger_;
    effect_interruption interruption_;
    std::shared_ptr<bool> is_dead_;
    std::size_t calls_ = 0;
};

}  // namespace idempo::testing
