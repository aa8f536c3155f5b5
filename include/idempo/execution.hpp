// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/step_log.hpp>
#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace idempo {

namespace detail {
class checkpoint;
}

/// Thrown by a step whose execution has lost its claim: another attempt runs, or may begin to. Let it leave the
/// handler; the client is told that the request is in flight.
class execution_lost : public std::runtime_error {
public:
    execution_lost() : std::runtime_error("idempo: this execution has lost its claim") {}
};

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

    /// Releases the claim whatever the status, also if the handler throws: the effect has not happened. If this
    /// execution has begun a step, all kept ones are taken back: call it only where none has an effect that lasts.
    void release() noexcept { verdict_ = verdict::release; }

    /// Parks the record whatever the status, also if the handler throws: nobody can tell whether the effect happened.
    /// The client gets what the handler answers. No later request runs the handler: each gets 409
    /// (`refusal::outcome_unknown`) until `options::reconcile` decides, or somebody settles the record in the store.
    /// Does nothing without a claim.
    /// \param reason for the operator and for `options::reconcile`, never for a client; cut after
    /// `largest_park_reason` bytes
    /// \throws std::logic_error where the store cannot park (`parking_store`)
    void unknown(std::string_view reason);

    /// What `unknown` was given: in `options::reconcile`, by the attempt that was parked.
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }

    /// Runs `f(key)` once and keeps its result under the claim, with one write to the store. Where an earlier attempt
    /// has kept it, `f` is not called, and this is its result. `key` is `derived_key(label)`, the same for every
    /// attempt: give it to the system that is called. A result is kept until the response is stored; `release()` takes
    /// all back, and a released status or an exception does not.
    ///
    /// `f` returns what `step_codec` knows (`std::string`; `boost::json::value` with `idempo/json/step.hpp`) or `void`;
    /// or an `asio::awaitable` of it, and so does this. In both cases define a lambda that owns something before the
    /// expression with `co_await`. Steps of one execution run one after another. Defined in `idempo/step.hpp`, which
    /// `idempo/layers/idempotency.hpp` includes.
    ///
    /// Without a claim (`on_store_error::run_unprotected`) `f` is called and nothing is kept.
    ///
    /// \param label 1 to 255 bytes, used once in an execution
    /// \throws execution_lost where the claim is lost, before `f` or after it: nothing may follow. So do all later
    /// steps \throws boost::system::system_error where the result could not be kept within `options::persist_timeout`,
    /// and so do all later steps. Unless the handler decides otherwise, the lease then ends the claim \throws
    /// std::logic_error without a key, for a label used twice, for a store that keeps no steps
    /// (`checkpointing_store`), and where a plain function is called with a completion token and its store would have
    /// to be waited for: make that handler a coroutine \throws std::length_error for a result over
    /// `options::max_step_result`, or one too many for `options::max_steps`: after `f`, whose result is then lost
    template <class F>
    auto step(std::string_view label, F&& f);

    /// The same for handlers with completion tokens: `f(key, done)` starts the step and later calls
    /// `done(std::exception_ptr, std::string)` once, from any thread. Completes with
    /// `void(std::exception_ptr, std::string)`, as if by post, and with what `step` throws as the exception. Do not
    /// answer before it has completed.
    template <class F, class Token>
    auto async_step(std::string_view label, F&& f, Token&& done);

    /// What is kept of a step, without running it; for `options::reconcile`.
    /// \throws std::invalid_argument where the kept steps are damaged
    [[nodiscard]] std::optional<std::string> kept_step(std::string_view label) const;

    /// Keeps the record of this answer for `retention` from its completion, instead of `options::retention`: for long
    /// where the effect is final, or briefly where the same request may soon succeed.
    /// \throws std::invalid_argument unless it is positive and at most ten years.
    void retain_for(std::chrono::milliseconds retention);

    [[nodiscard]] std::optional<std::chrono::milliseconds> retention() const noexcept { return retention_; }

    /// Stores a tombstone instead of the answer, where one would be stored: the client gets the answer once, and each
    /// retry 409 with its status (`refusal::not_retained`). Nothing of the answer reaches the store.
    void forget_body() noexcept { forgets_body_ = true; }
    [[nodiscard]] bool forgets_body() const noexcept { return forgets_body_; }

    /// What the handler said last; `by_policy` if nothing.
    enum class verdict { by_policy, keep, release, unknown };
    [[nodiscard]] verdict decision() const noexcept { return verdict_; }

    /// \name For the drivers and for tests of handlers
    /// @{
    void begin(unsigned attempt) noexcept { attempt_ = attempt; }
    void begin_unprotected() noexcept { keyed_ = false; }
    void watch(std::shared_ptr<std::atomic<bool> const> lost) noexcept { lost_ = std::move(lost); }
    /// What the execution can do with the store. `driver` outlives it.
    void attach(detail::checkpoint& driver, bool keeps_steps, bool parks, detail::step_limits limits) noexcept {
        checkpoint_ = &driver;
        keeps_steps_ = keeps_steps;
        parks_ = parks;
        step_limits_ = limits;
    }
    [[nodiscard]] detail::checkpoint* driver() const noexcept { return checkpoint_; }
    /// What earlier attempts have left. `sealed_steps` is as in `granted`.
    void inherit(shared_bytes steps, std::size_t sealed_steps, std::string_view reason);
    /// What a step has to ask first; then `begin_step`. \throws as `step`
    void require_steps() const;
    [[nodiscard]] std::optional<std::string> begin_step(std::string_view label);
    /// Null where nothing is to be kept.
    [[nodiscard]] detail::checkpoint* steps_to() const noexcept {
        return keyed_ && keeps_steps_ ? checkpoint_ : nullptr;
    }
    [[nodiscard]] detail::step_log& steps() noexcept { return *log_; }
    /// A step has been kept, or why not: then it throws as `step` does.
    void end_step(std::size_t bytes, error_code error, bool is_kept);
    /// Whether a step found that the claim is lost; whether one could not be kept.
    [[nodiscard]] bool is_fenced() const noexcept { return is_fenced_; }
    [[nodiscard]] bool has_unsaved_step() const noexcept { return !!unsaved_; }
    /// Where the next step goes; at 0 where this execution has begun none.
    [[nodiscard]] detail::step_place next_step() const noexcept { return log_ ? log_->next() : detail::step_place(); }
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
    detail::checkpoint* checkpoint_ = nullptr;
    detail::step_limits step_limits_;
    shared_bytes kept_;
    std::size_t sealed_steps_ = 0;
    /// Made by the first step.
    std::unique_ptr<detail::step_log> log_;
    std::string reason_;
    error_code unsaved_;
    unsigned attempt_ = 0;
    bool keeps_steps_ = false;
    bool parks_ = false;
    bool is_fenced_ = false;
    verdict verdict_ = verdict::by_policy;
    bool keyed_ = false;
    bool passes_replay_ = false;
    bool forgets_body_ = false;
};

}  // namespace idempo
