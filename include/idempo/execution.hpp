// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/identifiers.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace idempo {

/// What a handler may ask about its own execution: the optional second parameter of any handler.
///
/// The library makes it and passes it by reference; it lives until the handler has answered. `lost` may be asked from
/// any thread; the other members only where the handler runs.
class execution {
public:
    /// An execution without a key: the request is not under the library's protection.
    execution() = default;

    /// An execution under the client's key.
    execution(std::string client_key, store_key const& under, fingerprint const& of_request)
        : key_(std::move(client_key)),
          store_key_(under),
          fingerprint_(of_request),
          keyed_(true) {}

    execution(execution const&) = delete;
    execution& operator=(execution const&) = delete;

    /// Whether this execution holds a claim. False without a key, and where the store failed and
    /// `on_store_error::run_unprotected` let the handler run.
    [[nodiscard]] bool keyed() const noexcept { return keyed_; }

    /// What the client sent, unquoted; empty without a key.
    [[nodiscard]] std::string_view key() const noexcept { return key_; }

    /// 1 for the first execution under this record, one more for each takeover: above 1, an earlier attempt may have
    /// had its effect. 0 without a claim.
    [[nodiscard]] unsigned attempt() const noexcept { return attempt_; }

    /// A key for a downstream call, the same for every attempt of this request: 64 hexadecimal digits of
    /// SHA-256(store key ‖ fingerprint ‖ label). \throws std::logic_error where the client sent no key.
    [[nodiscard]] std::string derived_key(std::string_view label) const;

    /// Whether the lease could not be held: another attempt may run beside this one, and this one's response will not
    /// be stored if it does.
    [[nodiscard]] bool lost() const noexcept { return lost_ && lost_->load(std::memory_order_acquire); }

    /// Stores the response whatever its status, and a 500 if the handler throws: the effect has happened.
    void keep() noexcept { verdict_ = verdict::keep; }

    /// Releases the claim whatever the status, also if the handler throws: the effect has not happened.
    void release() noexcept { verdict_ = verdict::release; }

    /// Keeps the record of this answer for `retention` from its completion, instead of `options::retention`: for long
    /// where the effect is final, or briefly where the same request may soon succeed.
    /// \throws std::invalid_argument unless it is positive and at most ten years.
    void retain_for(std::chrono::milliseconds retention);

    [[nodiscard]] std::optional<std::chrono::milliseconds> retention() const noexcept { return retention_; }

    /// What the handler said last; `by_policy` if nothing.
    enum class verdict { by_policy, keep, release };
    [[nodiscard]] verdict decision() const noexcept { return verdict_; }

    /// \name For the drivers and for tests of handlers
    /// @{
    void begin(unsigned attempt) noexcept { attempt_ = attempt; }
    void begin_unprotected() noexcept { keyed_ = false; }
    void watch(std::shared_ptr<std::atomic<bool> const> lost) noexcept { lost_ = std::move(lost); }
    /// A layer further in has answered with a stored response: its marker is no invention of the handler's.
    void pass_replay() noexcept { passes_replay_ = true; }
    [[nodiscard]] bool passes_replay() const noexcept { return passes_replay_; }
    /// @}

private:
    std::string key_;
    store_key store_key_;
    fingerprint fingerprint_;
    std::shared_ptr<std::atomic<bool> const> lost_;
    std::optional<std::chrono::milliseconds> retention_;
    unsigned attempt_ = 0;
    verdict verdict_ = verdict::by_policy;
    bool keyed_ = false;
    bool passes_replay_ = false;
};

}  // namespace idempo
