// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/observer_fwd.hpp>

#include <chrono>
#include <exception>
#include <iosfwd>
#include <string_view>

namespace idempo {

/// The events of an observer. A request with a key ends in exactly one of the outcomes from `executed` to
/// `record_unreadable`; the others come in addition. `answered_by_hand` and `released_by_hand` belong to no request.
enum class event_type {
    step_began,         ///< a step begins; `step`
    step_ended,         ///< a step ended after `duration`; `step`, `error` if it failed
    executed,           ///< the handler ran and its response is stored; `status`
    tombstone,          ///< the handler ran and only a tombstone is stored; `status`
    released,           ///< the handler ran or threw, and the claim is released; `status` if it answered
    held,               ///< the handler threw, or a step could not be kept, and only the lease ends the claim
    parked,             ///< the handler said `unknown`: nobody runs it again until somebody decides
    unprotected,        ///< the handler ran without a claim (`on_store_error::run_unprotected`)
    not_persisted,      ///< the handler ran, and the client gets its response, but the store failed; `error`
    replayed,           ///< answered from the store; `status`
    in_flight,          ///< refused: the first request is still running
    mismatch,           ///< refused: the key belongs to another request
    key_expired,        ///< refused: the key's record has expired (`options::remember_expired`)
    refused,            ///< refused for any other reason; `status`
    record_unreadable,  ///< refused: the stored bytes are not a record
    fenced,             ///< in addition: the handler ran, and another attempt has taken the record over
    takeover,           ///< in addition: the claim follows one whose lease ended, or that was parked; `attempt`
    reconciled,         ///< in addition: `options::reconcile` was asked; `attempt`, and `status` if it gave a response
    /// In addition: while the request waited for a parked record, somebody has ended that: by hand, in this process or
    /// another, or by `options::reconcile` of another request. `status` where there is a response now; without one the
    /// handler may run.
    settled,
    answered_by_hand,  ///< `idempo::settle` has given a parked or held record a response; `attempt`, `status`
    released_by_hand,  ///< `idempo::settle` has freed a parked or held record: the next request runs; `attempt`
    lease_lost,        ///< in addition: the heartbeat could not hold the lease
    store_error,       ///< in addition: a store operation failed; `step`, `error`
    handler_threw,     ///< in addition: `exception`
    /// In addition: the key has a record under one of `options::previous`, or under a secret of `digest_keys` that is
    /// not the first. While this is told, do not drop those.
    other_identity,
    /// In addition: the request has a Cookie and none of the fields that `scope::credential_bound` lists. Callers who
    /// choose the same key share their answers. `scope::principal` keeps them apart.
    cookie_ignored,
};

/// The parts of a request's life that take time. `look` asks for a record under another identity. `commit` is a part of
/// `complete`, only in transactional mode; `save_step` is a part of `handler`. `settle` is outside of any request, and
/// only in `store_error`.
enum class event_step {
    claim,
    look,
    wait,
    handler,
    complete,
    commit,
    abandon,
    renew,
    reconcile,
    save_step,
    park,
    settle
};

/// One event. It never carries the client's key, a body, or a server's error text. Views and the exception are valid
/// during the call.
struct event {
    event_type type = event_type::executed;
    event_step step = event_step::claim;
    store_key key;
    unsigned attempt = 0;
    /// The HTTP status of the response, 0 if there is none.
    unsigned status = 0;
    std::chrono::steady_clock::duration duration{};
    error_code error;
    std::exception_ptr exception;
    /// Of the claim that the request made last: it tells requests with the same key apart. All zeros where there is
    /// none.
    idempo::fencing_token fencing_token{};
    /// The `traceparent` of the request, with `options::keep_traceparent` and where it had a valid one. Else empty.
    std::string_view traceparent;
    /// That of the request whose run made the record, where the store has told the record: `replayed`, `settled`, a
    /// refusal for a tombstone. Else empty.
    std::string_view first_traceparent;
};

[[nodiscard]] std::string_view to_string(event_type type) noexcept;
[[nodiscard]] std::string_view to_string(event_step step) noexcept;

/// A ready-made observer: one line for each event except `step_began` and `step_ended`. It prints only the first digits
/// of the store key, and of a trace its id. Serialises its writes; `out` must outlive every copy of the observer.
[[nodiscard]] observer log_to(std::ostream& out);

namespace detail {

/// Calls the observer, if any, and swallows its exceptions.
void notify(observer const& observer, event const& event) noexcept;

/// \param key of the request that the handler had; all zeros where there is none
void tell_exception(observer const& observer, std::exception_ptr exception, store_key const& key = {}) noexcept;

}  // namespace detail

}  // namespace idempo
