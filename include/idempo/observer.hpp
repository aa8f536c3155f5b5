#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <iosfwd>
#include <string_view>

namespace idempo {

/// What an observer is told. A request with a key ends in exactly one of the outcomes from `executed` to
/// `record_unreadable`; the others are told beside it.
enum class event_type {
    step_began,         ///< a step begins; `step`
    step_ended,         ///< a step ended after `duration`; `step`, `error` where it failed
    executed,           ///< the handler ran and its response is stored; `status`
    tombstone,          ///< the handler ran and only a tombstone is stored; `status`
    released,           ///< the handler ran or threw, and the claim is released; `status` where it answered
    held,               ///< the handler threw, and the claim is left to its lease
    unprotected,        ///< the handler ran without a claim (`on_store_error::run_unprotected`)
    not_persisted,      ///< the handler ran, the client has its answer, and the store does not; `error`
    replayed,           ///< answered from the store; `status`
    in_flight,          ///< refused: the first request is still running
    mismatch,           ///< refused: the key belongs to another request
    refused,            ///< refused for any other reason; `status`
    record_unreadable,  ///< refused: the stored bytes are not a record
    fenced,             ///< told beside: the handler ran, and another attempt has taken the record over
    takeover,           ///< told beside: the claim follows one whose lease ended; `attempt`
    lease_lost,         ///< told beside: the heartbeat could not hold the lease
    store_error,        ///< told beside: a store operation failed; `step`, `error`
    handler_threw,      ///< told beside: `exception`
};

/// The parts of a request's life that take time. `commit` is a part of `complete`, in transactional mode alone.
enum class event_step { claim, wait, handler, complete, commit, abandon, renew };

/// One event. It never carries the client's key, a body, or a server's error text. Views and the exception are valid
/// during the call.
struct event {
    event_type type = event_type::executed;
    event_step step = event_step::claim;
    store_key key;
    unsigned attempt = 0;
    /// The HTTP status of the answer, 0 where there is none.
    unsigned status = 0;
    std::chrono::steady_clock::duration duration{};
    error_code error;
    std::exception_ptr exception;
};

/// Called on the deciding thread with no lock held, concurrently for concurrent requests; what it throws is
/// swallowed. Where none is set, no clock is read.
using observer = std::function<void(event const&)>;

[[nodiscard]] std::string_view to_string(event_type type) noexcept;
[[nodiscard]] std::string_view to_string(event_step step) noexcept;

/// A ready-made observer: one line an event, without `step_began` and `step_ended`. Of the key it prints only the
/// first digits of the store key. Serialises its writes; `out` must outlive every copy of the observer.
[[nodiscard]] observer log_to(std::ostream& out);

namespace detail {

/// Calls the observer, if any, and swallows what it throws.
void notify(observer const& observer, event const& event) noexcept;

}  // namespace detail

}  // namespace idempo
