// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/traceparent.hpp>
#include <idempo/error.hpp>
#include <idempo/exchange/step_saving.hpp>
#include <idempo/execution.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/store.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::detail {

class checkpoint;

/// What the exchange needs to know of a request before it is identified.
struct request_facts {
    std::size_t key_lines = 0;
    std::string_view key_field;
    std::size_t body_size = 0;
    /// The service takes nothing new.
    bool draining = false;
    /// Of the only field line; with `options::keep_traceparent`.
    std::string_view traceparent{};
};

/// A store key under one identity, and which of the rules made its records.
struct identified_key {
    store_key key;
    std::size_t rule = 0;
};

/// Who asks for what, as a claim needs it.
struct request_identity {
    store_key key;
    /// What the store compares; the same for every request in guard mode.
    idempo::fingerprint compared;
    /// What tells the request from any other, in guard mode too.
    idempo::fingerprint asked;
    /// The numbers of the rules that fingerprints can be made by, the current one first. They outlive the exchange.
    std::span<std::uint32_t const> rules{};
    /// Where else a record of this key may be; keys that differ from each other and from `key`.
    std::vector<identified_key> others{};
    /// Worth a warning.
    bool ignores_cookie = false;
};

/// The life of one keyed request, without I/O: it says what to do next, a driver does it and reports what came of it.
/// Every decision of the library is taken here, and none in a driver.
///
///     admit → identify → claim ⇄ pause → (heartbeat) → run → capture → complete ⇄ pause → respond
///                                             ⇅         ├→ park ⇄ pause ──────────────────↗
///                                          reconcile    └→ (take_back) → abandon ─────────↗
///
/// Where a record may be under another identity, it is looked for before the claim, and again when the claim is
/// granted: a server of another release may have claimed it meanwhile.
///
///     identify → look … → claim → look … → run
///                  └→ identify → claim under that identity ↗ (abandon, where the claim is held)
///
/// Two servers that claim under two identities cannot both find nothing: each looks after its own claim. What is new
/// under another identity than the current one is given up: the record that led there is gone.
///
/// An earlier attempt is reconciled under a claim of this request's own; where that leads to no run, it is abandoned.
///
/// A grant that comes so late that its lease may have ended is given up, and claimed anew: somebody else may run.
///
/// Where each request has a transaction, one without a key has a way, too:
///
///     pass → open → run → commit or abandon → respond
///
/// Each member that reports something returns the next step. Not thread-safe; the options must outlive it.
class exchange {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using clock = time_point (*)();

    /// What the driver does next, and with which member it reports back.
    enum class step {
        /// Find out who calls and what is asked; `identified`, `unidentified`, `key_not_accepted` or `identify_threw`.
        /// Where `is_identified()`: what is asked, by the rule `rule()`; `identified_by_rule`.
        identify,
        look,       ///< see what there is under `look()`, without a change to it; `looked`
        claim,      ///< `claim()`; `claimed`, or `overloaded`
        open,       ///< begin a transaction without a claim; `opened`, or `overloaded`
        pause,      ///< `pause()`; `paused`, or `pause_cancelled` where `pause_is_cancellable()`
        reconcile,  ///< call `options::reconcile`; `reconciled` or `reconcile_threw`
        heartbeat,  ///< renew the claim from now until the handler has answered; `beating`
        run,        ///< call the handler; `ran`, `ran_unreadably`, `threw` or, in a transaction, `undone`
        capture,    ///< make the record of its response; `captured` or `capture_threw`
        /// `complete()`; `completed`. In a transaction: with or without the handler's rows, as `keeps_rows()` says, and
        /// `commit_refused` or `commit_in_doubt` may be what came of it.
        complete,
        commit,     ///< as `complete` in a transaction, with the rows, and without a record
        renew,      ///< give a claim without a lease its lease, `options::lease`; `renewed`
        park,       ///< `park()`; `parked`
        take_back,  ///< have a step saved that takes all kept ones back: `save(step_log::taking_back())`; `taken_back`
        /// `claim().key` and `.fencing_token`; `abandoned`; no need to wait where `abandon_is_best_effort()`. In a
        /// transaction: roll it back.
        abandon,
        respond,  ///< send what `answer()` says
    };

    /// Whose response the client gets.
    enum class answer_source {
        handler,    ///< what the handler returned
        exception,  ///< what the handler threw, or `refusal()` where it cannot be thrown on
        stored,     ///< `stored()`
        refusal,    ///< `refusal()`
    };

    /// What ends a claim that is never completed.
    enum class claim_lifetime {
        leased,       ///< to the end of its lease, beyond the call and the process
        call,         ///< for ever: it must be settled before the call ends
        transaction,  ///< to the end of a transaction, in which are the effect and the record, too
    };

    /// What a driver can promise of a claim. A store that is called directly is at hand whenever the call ends, however
    /// it does: no lease and no heartbeat are needed there, which a handler that blocks its thread could stop.
    [[nodiscard]] static claim_lifetime lifetime_of(options const& options, bool store_is_direct,
                                                    bool handler_runs_at_once) noexcept {
        bool const ends_with_call = store_is_direct && (handler_runs_at_once || options.heartbeat);
        return ends_with_call ? claim_lifetime::call : claim_lifetime::leased;
    }

    /// \param renewable whether the driver can renew a claim while the handler runs
    explicit exchange(options const& options, claim_lifetime lifetime = claim_lifetime::leased,
                      clock now = &std::chrono::steady_clock::now, bool renewable = false)
        : options_(options),
          lifetime_(lifetime),
          now_(now),
          renewable_(renewable) {}

    /// For requests that are transactions of one database each, where claim, effect and record are.
    /// \param commit_if which statuses commit the handler's rows; empty: those below 400. It outlives the exchange.
    exchange(options const& options, std::function<bool(unsigned)> const& commit_if,
             clock now = &std::chrono::steady_clock::now)
        : exchange(options, claim_lifetime::transaction, now) {
        commit_if_ = &commit_if;
    }

    exchange(exchange const&) = delete;
    exchange& operator=(exchange const&) = delete;

    /// What the store can do beside. `driver` outlives this; executions reach their store through it.
    void provide(checkpoint& driver, bool keeps_steps, bool parks) noexcept {
        checkpoint_ = &driver;
        keeps_steps_ = keeps_steps;
        parks_ = parks;
    }

    /// \name What happened
    /// @{
    step admit(request_facts const& facts);
    /// Instead of `admit`, in a transaction: the request has no key, or is not to be protected.
    step pass();
    step identified(request_identity const& identity);
    step identified_by_rule(idempo::fingerprint asked);
    step unidentified();
    step key_not_accepted();
    step identify_threw(std::exception_ptr exception);
    step looked(error_code error, std::optional<record_info> const& found);
    step claimed(error_code error, claim_result result);
    /// Instead of `claimed` and `opened`: nobody is free to begin a transaction.
    step overloaded();
    step opened(error_code error);
    step paused();
    step pause_cancelled();
    step reconciled(reconciliation result);
    step reconcile_threw(std::exception_ptr exception);
    /// \param lost the flag of the heartbeat, for `execution::lost`
    step beating(std::shared_ptr<std::atomic<bool> const> lost);
    step ran(unsigned status);
    /// The handler has answered, and nobody can say with what. `lost` where nothing is left of it that could be sent.
    step ran_unreadably(std::exception_ptr lost);
    step threw(std::exception_ptr exception);
    /// The database has rolled back what the handler did, and the claim with it, for no fault of the handler's.
    step undone(std::exception_ptr exception);
    /// In a transaction: COMMIT is about to be sent.
    void committing();
    /// Instead of `completed`, in a transaction: the database does not commit what the handler did, whose fault it is.
    step commit_refused(std::exception_ptr exception);
    /// Instead of `completed`, in a transaction: COMMIT was sent, and nobody can tell what became of it.
    step commit_in_doubt(std::exception_ptr exception);
    step captured(std::optional<shared_bytes> record);
    step capture_threw(std::exception_ptr exception);
    step completed(error_code error, complete_result result);
    step renewed(error_code error);
    step abandoned(error_code error);
    /// \param is_parked false where another token holds the record
    step parked(error_code error, bool is_parked);
    step taken_back(error_code error);
    /// @}

    /// \name What to do it with
    /// @{
    /// Until the execution begins, which takes it over.
    [[nodiscard]] std::string const& key() const noexcept { return key_; }
    /// Which of the rules the record may have been made by.
    [[nodiscard]] std::size_t rule() const noexcept { return rule_; }
    [[nodiscard]] bool is_identified() const noexcept { return is_identified_; }
    [[nodiscard]] store_key const& look() const noexcept { return identities_[looks_at_].key; }
    [[nodiscard]] claim_request const& claim() const noexcept { return claim_; }
    /// When the claim was sent: its lease cannot have begun earlier.
    [[nodiscard]] time_point claimed_at() const noexcept { return claimed_at_; }
    [[nodiscard]] complete_request complete() const;
    /// Whether the transaction is committed with the handler's rows.
    [[nodiscard]] bool keeps_rows() const noexcept { return keeps_rows_; }
    [[nodiscard]] std::chrono::milliseconds pause() const noexcept { return pause_; }
    [[nodiscard]] bool pause_is_cancellable() const noexcept { return !running_; }
    [[nodiscard]] bool abandon_is_best_effort() const noexcept { return !running_ && !reconciling_ && !confirming_; }
    /// Whether a claim without a lease would be left behind if nothing more were done: renew it before giving up.
    [[nodiscard]] bool owes_lease() const noexcept {
        return (running_ || reconciling_ || confirming_) && !unprotected_ && !settled_ &&
               lifetime_ == claim_lifetime::call;
    }
    [[nodiscard]] park_request park() const;
    /// The saving of a step of the running handler, or of `step::take_back`.
    [[nodiscard]] step_saving save(step_place at, shared_bytes entry) const {
        return {options_, claim_, attempt_, at, std::move(entry), now_, trace_};
    }
    /// From `reconcile` or `run` on.
    [[nodiscard]] idempo::execution& execution() noexcept { return *execution_; }
    [[nodiscard]] answer_source answer() const noexcept { return answer_; }
    [[nodiscard]] stored_response const& stored() const noexcept { return stored_; }
    [[nodiscard]] refusal_details const& refusal() const noexcept { return refusal_; }
    /// What of a response is stored.
    [[nodiscard]] capture_policy policy() const noexcept {
        return {options_.max_response_body, options_.store_set_cookie, trace_.view()};
    }
    /// For what others tell of this request.
    [[nodiscard]] idempo::observer observer_with_trace() const;
    /// For the answer, whoever gives it; not for the record.
    [[nodiscard]] response_fields answer_fields() const;
    /// Whether the handler has been given the request.
    [[nodiscard]] bool handed_over() const noexcept { return running_; }
    /// Tells a layer further out, whose handler this one is, what to make of the answer: a refusal must not be stored
    /// there, and what the handler said of its effect holds there, too.
    void report_to(idempo::execution& outer) const noexcept;
    /// @}

private:
    step refuse(idempo::refusal what, event_type outcome = event_type::refused);
    step refuse_in_flight(std::chrono::milliseconds lease_remaining);
    step start_claim();
    void tell_settled(claim_result const& met);
    step claim_failed(error_code error);
    step start_looking();
    step look_on();
    [[nodiscard]] bool is_decisive(record_info const& found) const noexcept;
    step give_up(std::size_t identity, bool looks_again);
    step gave_up();
    step go_to(std::size_t identity);
    step go_on_granted();
    [[nodiscard]] bool lease_may_have_ended() const;
    step claim_again(error_code error);
    step go_without_claim();
    step met(claim_result result);
    step met_in_flight(in_flight const& met);
    step met_mismatch(mismatch const& met);
    step met_completed(shared_bytes record);
    step met_expired(expired const& met);
    step met_parked(idempo::parked const& met);
    step start_acquiring();
    step wait_or(step (exchange::*refusing)());
    step refuse_unknown();
    step refuse_met_in_flight();
    void begin_anew();
    void reset_claim();
    step grant(granted const& grant);
    step claimed_anew(error_code error, claim_result result);
    step start_run();
    step start_reconcile();
    [[nodiscard]] bool may_be_lost() const;
    step start_reclaiming();
    step reclaimed(error_code error, claim_result result);
    step run_again();
    [[nodiscard]] bool beats() const noexcept;
    void begin_execution(unsigned attempt);
    step call_handler();
    step start_complete(shared_bytes record);
    step start_tombstone();
    [[nodiscard]] shared_bytes tombstone() const { return make_tombstone(status_, trace_.view()); }
    step start_abandon();
    void keep_rows(bool keeps) noexcept;
    step end_unkeyed();
    step start_park();
    step start_release();
    step try_again(error_code error);
    step complete_failed(error_code error);
    step fenced_off(complete_result result);
    step leave_to_lease();
    step refuse_unavailable();
    step failed(std::exception_ptr exception);
    step settle();
    step respond(answer_source answer) noexcept;
    [[nodiscard]] bool stores(unsigned status);
    [[nodiscard]] bool holds(unsigned status);
    [[nodiscard]] bool commits(unsigned status);
    [[nodiscard]] std::optional<shared_bytes> record_of(http::response<http::string_body> const& response) const;
    [[nodiscard]] std::optional<shared_bytes> sanitized(shared_bytes record);
    [[nodiscard]] bool guards() const noexcept { return options_.on_duplicate == on_duplicate::reject; }

    void begin(event_step timed);
    void end(event_step timed, error_code error = {});
    void end_commit(error_code error);
    void tell_step(event_type type, event_step timed, std::chrono::steady_clock::duration duration, error_code error);
    void tell(event_type type, error_code error = {}, std::exception_ptr exception = {});

    options const& options_;
    claim_lifetime lifetime_;
    clock now_;
    bool renewable_;

    std::string key_;
    /// The field's value as the client sent it, where it is to be echoed.
    std::string echoed_;
    traceparent trace_;
    claim_request claim_;
    time_point claimed_at_{};
    idempo::fingerprint asked_;
    std::span<std::uint32_t const> rules_;
    std::size_t rule_ = 0;
    /// A bit for each rule that the record has been compared by.
    std::uint64_t tried_ = 0;
    bool is_identified_ = false;

    /// The current one first; empty where there is no other.
    std::vector<identified_key> identities_;
    std::size_t identity_ = 0;
    std::size_t looks_at_ = 0;
    bool looks_again_ = false;
    /// The claim is granted, and the others are looked at once more.
    bool confirming_ = false;
    /// Where to go when the claim has been given up.
    std::optional<std::size_t> goes_to_;
    unsigned given_up_ = 0;
    bool is_fresh_ = false;
    /// The claim is given up because its lease may have ended.
    bool is_late_ = false;
    unsigned late_claims_ = 0;

    std::optional<idempo::execution> execution_;
    checkpoint* checkpoint_ = nullptr;
    bool keeps_steps_ = false;
    bool parks_ = false;
    /// Of earlier attempts.
    shared_bytes steps_;
    std::size_t sealed_steps_ = 0;
    shared_bytes reason_;
    unsigned attempt_ = 0;
    unsigned status_ = 0;

    /// The handler may have had its effect: from here on nothing gives up the claim but a decision about the response.
    bool running_ = false;
    bool unprotected_ = false;
    /// A transaction without a claim.
    bool unkeyed_ = false;
    bool settled_ = false;
    /// The claim asks for a record whose outcome is unknown.
    bool acquiring_ = false;
    /// It has got it, and `options::reconcile` decides.
    bool reconciling_ = false;
    bool has_asked_ = false;
    /// `reconcile` lets the handler run, and the claim is repeated, since its lease may have ended.
    bool reclaiming_ = false;
    bool is_parking_ = false;
    /// Which answer the handler's outcome calls for, once the store has been told.
    answer_source pending_ = answer_source::handler;
    shared_bytes record_;
    bool tombstone_ = false;
    std::function<bool(unsigned)> const* commit_if_ = nullptr;
    bool keeps_rows_ = false;
    /// The handler's transaction has ended without a commit, and there may be a record to be stored all the same.
    bool transaction_is_gone_ = false;
    bool has_reconciled_record_ = false;
    /// The observer has been told of an outcome.
    bool has_outcome_ = false;

    std::chrono::milliseconds pause_{};
    std::chrono::milliseconds last_lease_remaining_{};
    bool last_was_unknown_ = false;
    /// Else its lease had ended.
    bool unknown_was_parked_ = false;
    std::optional<time_point> pause_until_;
    bool persisting_ = false;

    answer_source answer_ = answer_source::handler;
    refusal_details refusal_;
    stored_response stored_;

    time_point began_{};
    std::optional<time_point> commit_began_;
    event_step current_ = event_step::claim;
};

}  // namespace idempo::detail
