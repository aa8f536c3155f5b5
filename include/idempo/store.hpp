// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/system/errc.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

/// \file
/// A store has three operations, Claim, Complete and Abandon; optionally Renew, for a heartbeat; optionally
/// `save_step`, for recovery points; optionally `park` and `settle`, for unknown outcomes; optionally `peek` and
/// `forget`, for an operator with a stuck key; and optionally `list` (`idempo/listing.hpp`). A
/// store may also remember keys whose records have expired.
///
/// The contract, checked line by line for any store by `idempo/testing/store_contract.hpp`:
///
/// - Claim is atomic: of any number of concurrent claims of one store key, exactly one is granted per lease.
/// - Claim by the fencing token that already holds the record answers granted again: a retried call is not a rival.
/// - The fingerprint comes before the state: another fingerprint is a mismatch, in flight or completed.
/// - Complete and Abandon do nothing unless the record is in flight under that fencing token; Complete reports which it
/// was.
/// - Complete with the fencing token that completed the record answers done again.
/// - A record in flight expires at its lease deadline plus the retention, extended by each Renew; Complete restarts
///   the retention. A takeover of an ended lease needs the same fingerprint, exactly one rival wins it, and its
///   `attempt` is one more. Complete needs no live lease, only that nobody took over; on an absent record it stores.
/// - Abandon leaves behind what was there before the claim: nothing, or the record of the earlier attempts, with a
///   lease that has ended. Steps stay, too: a record with steps and without an earlier attempt is free, and the next
///   claim is granted as attempt 1, whether it asks to take over or not.
/// - `save_step` appends to the steps of a record in flight under that fencing token, at the given offset; the same
///   call again is done again. Each later grant tells the steps. They go when the record is completed.
/// - `park` needs what Complete needs, and stores where Complete would. A parked record is granted only to a claim that
///   asks for it, and is parked again when that claim is abandoned or its lease ends. It is never taken over otherwise,
///   and no fencing token holds it, that which parked it included.
/// - `settle` completes or frees a record that is parked, or whose lease has ended, and only at the given attempt. What
///   it frees is gone, except for steps: Complete and park of an earlier claim store as if there had been none.
/// - A store that says so remembers used keys: a record whose last claim, Complete or park asked for it leaves a mark
///   when it expires, whether it was in flight, completed or parked, for as long as it asked. A claim that asks for
///   marks, and meets one and no record, answers `remembered`, whatever its fingerprint, and writes nothing. Where it
///   has `peek`, that tells the mark. Abandon, `settle` and `forget` leave no mark of what they remove. Complete and
///   park take no notice of marks.
/// - Operations of one store key run in the order in which one process submitted them.
/// - Only the store's clock judges time.
/// - Every operation is bounded by a deadline of the store's own.
/// - A full store refuses with `error::store_full`. It never evicts an unexpired record. Complete of a record in
///   flight with at most `small_record_bytes` bytes always has room: Claim has reserved it.
///
/// A store is a handle: copies share the records, and any member may be called from any thread.

namespace idempo {

/// The lease of a claim that lasts until it is completed or abandoned. Only for stores that die with the process.
inline constexpr std::chrono::milliseconds no_lease = std::chrono::milliseconds::max();

/// The room that a claim reserves; a tombstone fits.
inline constexpr std::size_t small_record_bytes = 64;

/// The arguments of Claim.
struct claim_request {
    store_key key;
    idempo::fingerprint fingerprint;
    idempo::fencing_token fencing_token;
    /// How long the claim lasts without Renew.
    std::chrono::milliseconds lease{};
    /// How long the record lives beyond the lease.
    std::chrono::milliseconds retention{};
    /// False: a record whose lease has ended is reported as `expired`, and nothing is written.
    bool take_over = true;
    /// True, together with `take_over`: a parked record is granted, too, to find out what became of it.
    bool take_parked = false;
    /// How long a mark of the key outlives the record. Zero: there will be none, and this claim looks for none.
    std::chrono::milliseconds remember{};
};

/// This fencing token holds the record. `attempt` is 1 for the first execution under it, one more for each takeover.
struct granted {
    unsigned attempt = 1;
    /// What earlier attempts gave to `save_step`, one after the other.
    shared_bytes steps{};
    /// From an adapter that keeps steps in another form (`sealed`): of how many of them. For `step_request::index`.
    std::size_t sealed_steps = 0;
};

/// Another fencing token holds the record; its lease ends after this time, as far as the store knows.
struct in_flight {
    std::chrono::milliseconds lease_remaining{};
};

/// The record belongs to a request with another fingerprint.
struct mismatch {
    /// That of the record, where the store has it at hand: it says by which rule the record was made.
    std::optional<idempo::fingerprint> recorded{};
};

/// The record is completed; these are the bytes given to Complete.
struct completed {
    shared_bytes record;
};

/// The lease of attempt number `attempt` has ended, and the claim asked not to take over.
struct expired {
    unsigned attempt = 1;
};

/// The record is parked: nobody knows whether attempt number `attempt` had its effect.
struct parked {
    unsigned attempt = 1;
    /// What `park` was given.
    shared_bytes reason{};
};

/// The key has been used: its record has expired, and a mark is left.
struct remembered {};

/// The first alternative grants nothing, so that a value-initialised result is safe.
using claim_result = std::variant<in_flight, mismatch, completed, expired, granted, parked, remembered>;

/// The arguments of Complete.
struct complete_request {
    store_key key;
    idempo::fingerprint fingerprint;
    idempo::fencing_token fencing_token;
    shared_bytes record;
    std::chrono::milliseconds retention{};
    /// As in `claim_request`.
    std::chrono::milliseconds remember{};
};

/// The record is stored under this fencing token, now or by an earlier call.
struct done {};

/// Anything but `done`: another fencing token holds the record, in this state; nothing was written.
using complete_result = std::variant<in_flight, mismatch, completed, done>;

/// The longest reason of a parked record, in bytes.
inline constexpr std::size_t largest_park_reason = 1024;

/// The arguments of `save_step`.
struct step_request {
    store_key key;
    idempo::fencing_token fencing_token;
    /// How many bytes of steps the record has before these. Where it has more, the call has been executed before; then
    /// nothing is written.
    std::size_t offset = 0;
    shared_bytes step;
    /// `granted::sealed_steps`, and one more for each step that was saved since. A store need not look at it: an
    /// adapter that makes each step longer finds the step's place by it.
    std::size_t index = 0;
    /// That of the claim. A store need not look at it: an adapter that encrypts binds the step to it.
    idempo::fingerprint fingerprint{};
};

/// The arguments of `park`.
struct park_request {
    store_key key;
    idempo::fingerprint fingerprint;
    idempo::fencing_token fencing_token;
    /// At most `largest_park_reason` bytes.
    shared_bytes reason;
    /// How long the record lives from now.
    std::chrono::milliseconds retention{};
    /// As in `claim_request`.
    std::chrono::milliseconds remember{};
};

/// The arguments of `settle`.
struct settle_request {
    store_key key;
    /// The attempt that `peek` told: where it has changed, somebody else has taken the record over meanwhile.
    unsigned attempt = 1;
    /// The response, as `make_record` makes it. Empty: the record is freed, and the next request runs the handler.
    std::optional<shared_bytes> record{};
    std::chrono::milliseconds retention{};
};

/// A parked record that a claim has taken is in flight until its lease ends. `remembered`: the record has expired, and
/// a mark of its key is left.
enum class record_state { in_flight, completed, parked, remembered };

/// The result of `peek`, for an operator.
struct record_info {
    record_state state = record_state::in_flight;
    /// 0 where nothing but steps, or a mark, is left of earlier attempts.
    unsigned attempt = 1;
    /// Until the lease ends; negative when it has. Meaningless when completed or remembered.
    std::chrono::milliseconds lease_remaining{};
    /// Until the record, or the mark, is gone.
    std::chrono::milliseconds expires_in{};
    /// Of the stored record; 0 while in flight.
    std::size_t record_bytes = 0;
    /// Of the steps that are kept.
    std::size_t steps_bytes = 0;
    /// Of a parked record.
    std::string reason{};
    /// Since the record was last claimed, renewed, parked or completed, where the store knows it.
    std::optional<std::chrono::milliseconds> age{};
};

/// A store whose calls return at once or block the caller. They report through `ec` and do not throw.
template <class S>
concept store =
    std::copy_constructible<S> && requires(S& s, claim_request const& claim, complete_request const& complete,
                                           store_key const& key, fencing_token const& by, error_code& ec) {
        { s.claim(claim, ec) } -> std::same_as<claim_result>;
        { s.complete(complete, ec) } -> std::same_as<complete_result>;
        { s.abandon(key, by, ec) } -> std::same_as<void>;
    };

/// A store with Renew: `renew(key, token, lease, ec)` sets the lease to end `lease` from now and says whether the
/// record is still in flight under that fencing token. It works after the lease has ended, if nobody took over.
template <class S>
concept renewable_store = store<S> && requires(S& s, store_key const& key, fencing_token const& by,
                                               std::chrono::milliseconds lease, error_code& ec) {
    { s.renew(key, by, lease, ec) } -> std::same_as<bool>;
};

/// A store for an operator with a stuck key. `peek` is empty and `forget` false if there is neither an unexpired record
/// nor a mark. `forget` removes the record whatever its state, or the mark that it has left: the next request runs.
template <class S>
concept inspectable_store = store<S> && requires(S& s, store_key const& key, error_code& ec) {
    { s.peek(key, ec) } -> std::same_as<std::optional<record_info>>;
    { s.forget(key, ec) } -> std::same_as<bool>;
};

/// A store that keeps steps. `save_step` says whether the step is kept: false where the record is not in flight under
/// that fencing token, or does not exist. It works after the lease has ended, if nobody took over. A store without room
/// reports `error::store_full` and keeps nothing of the step.
template <class S>
concept checkpointing_store = store<S> && requires(S& s, step_request const& step, error_code& ec) {
    { s.save_step(step, ec) } -> std::same_as<bool>;
};

/// A store that parks records. `park` says whether the record is parked, now or by an earlier call with that fencing
/// token: false where another fencing token holds it or it is completed. It always has room; where there is none for
/// the reason, that is left out. `settle` says whether it has changed the record.
template <class S>
concept parking_store =
    store<S> && requires(S& s, park_request const& park, settle_request const& settle, error_code& ec) {
        { s.park(park, ec) } -> std::same_as<bool>;
        { s.settle(settle, ec) } -> std::same_as<bool>;
    };

/// A store, of either kind, that remembers used keys. It says so by a static member; an adapter whose inner store is
/// chosen at run time has a member `remembers()` beside.
template <class S>
concept remembering_store = requires { requires S::remembers_expired; };

/// A renewable store that lives in the process and never blocks. It is called directly from every style, and a claim
/// for a synchronous handler has no lease, since it cannot outlive the call.
template <class S>
concept nonblocking_store = renewable_store<S> && requires { requires S::never_blocks; };

namespace detail {

/// The error of a claim without a lease on a store that outlives the process: nothing would ever end that claim.
[[nodiscard]] inline error_code no_lease_refused() { return make_error_code(boost::system::errc::invalid_argument); }

/// A completion handler for concept checks only.
template <class... Args>
struct handler_archetype {
    void operator()(Args...) const {}
};

}  // namespace detail

/// The same operations as initiating functions that take a completion token. Arguments are copied; no reference to the
/// caller is kept. They complete as if by post, on the completion token's associated executor, or on `get_executor()`
/// if it has none. Copies of the store keep an operation's state alive.
template <class S>
concept async_store =
    std::copy_constructible<S> && requires(S& s, claim_request claim, complete_request complete, store_key key,
                                           fencing_token by, std::chrono::milliseconds lease) {
        s.async_claim(claim, detail::handler_archetype<error_code, claim_result>{});
        s.async_complete(complete, detail::handler_archetype<error_code, complete_result>{});
        s.async_abandon(key, by, detail::handler_archetype<error_code>{});
        { s.get_executor() } -> std::convertible_to<boost::asio::any_io_executor>;
    };

/// An asynchronous store with Renew, as `renewable_store`.
template <class S>
concept async_renewable_store =
    async_store<S> && requires(S& s, store_key key, fencing_token by, std::chrono::milliseconds lease) {
        s.async_renew(key, by, lease, detail::handler_archetype<error_code, bool>{});
    };

/// An asynchronous store for an operator with a stuck key, as `inspectable_store`.
template <class S>
concept async_inspectable_store = async_store<S> && requires(S& s, store_key key) {
    s.async_peek(key, detail::handler_archetype<error_code, std::optional<record_info>>{});
    s.async_forget(key, detail::handler_archetype<error_code, bool>{});
};

/// An asynchronous store that keeps steps, as `checkpointing_store`.
template <class S>
concept async_checkpointing_store = async_store<S> && requires(S& s, step_request step) {
    s.async_save_step(step, detail::handler_archetype<error_code, bool>{});
};

/// An asynchronous store that parks records, as `parking_store`.
template <class S>
concept async_parking_store = async_store<S> && requires(S& s, park_request park, settle_request settle) {
    s.async_park(park, detail::handler_archetype<error_code, bool>{});
    s.async_settle(settle, detail::handler_archetype<error_code, bool>{});
};

}  // namespace idempo
