// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>

#include <idempo/detail/traceparent.hpp>

#include <memory>
#include <mutex>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>

namespace idempo {

std::string_view to_string(event_type type) noexcept {
    switch (type) {
    case event_type::step_began: return "step_began";
    case event_type::step_ended: return "step_ended";
    case event_type::executed: return "executed";
    case event_type::tombstone: return "tombstone";
    case event_type::released: return "released";
    case event_type::held: return "held";
    case event_type::parked: return "parked";
    case event_type::unprotected: return "unprotected";
    case event_type::not_persisted: return "not_persisted";
    case event_type::replayed: return "replayed";
    case event_type::in_flight: return "in_flight";
    case event_type::mismatch: return "mismatch";
    case event_type::key_expired: return "key_expired";
    case event_type::refused: return "refused";
    case event_type::record_unreadable: return "record_unreadable";
    case event_type::fenced: return "fenced";
    case event_type::takeover: return "takeover";
    case event_type::reconciled: return "reconciled";
    case event_type::settled: return "settled";
    case event_type::answered_by_hand: return "answered_by_hand";
    case event_type::released_by_hand: return "released_by_hand";
    case event_type::lease_lost: return "lease_lost";
    case event_type::store_error: return "store_error";
    case event_type::handler_threw: return "handler_threw";
    case event_type::other_identity: return "other_identity";
    case event_type::cookie_ignored: return "cookie_ignored";
    }
    return "unknown";
}

std::string_view to_string(event_step step) noexcept {
    switch (step) {
    case event_step::claim: return "claim";
    case event_step::look: return "look";
    case event_step::wait: return "wait";
    case event_step::handler: return "handler";
    case event_step::complete: return "complete";
    case event_step::commit: return "commit";
    case event_step::abandon: return "abandon";
    case event_step::renew: return "renew";
    case event_step::reconcile: return "reconcile";
    case event_step::save_step: return "save_step";
    case event_step::park: return "park";
    case event_step::settle: return "settle";
    }
    return "unknown";
}

observer log_to(std::ostream& out) {
    return [&out, mutex = std::make_shared<std::mutex>()](event const& event) {
        if (event.type == event_type::step_began || event.type == event_type::step_ended) return;
        constexpr std::size_t shown_bytes = 4;
        std::ostringstream line;
        line << "idempo " << to_string(event.type) << " key=" << to_hex(event.key.view().substr(0, shown_bytes));
        if (event.attempt != 0) line << " attempt=" << event.attempt;
        if (event.status != 0) line << " status=" << event.status;
        if (event.type == event_type::store_error) line << " step=" << to_string(event.step);
        // The category and number, not the message: a server's text may quote its input.
        if (event.error) line << " error=" << event.error;
        if (!event.traceparent.empty()) line << " trace=" << detail::trace_id(event.traceparent);
        if (!event.first_traceparent.empty()) line << " first_trace=" << detail::trace_id(event.first_traceparent);
        line << '\n';
        std::lock_guard const lock(*mutex);
        out << line.str() << std::flush;
    };
}

namespace detail {

void notify(observer const& observer, event const& event) noexcept {
    if (!observer) return;
    try {
        observer(event);
    } catch (...) {  // an observer that fails must not change what happens to a payment
    }
}

void tell_exception(observer const& observer, std::exception_ptr exception, store_key const& key) noexcept {
    event event;
    event.key = key;
    event.type = event_type::handler_threw;
    event.step = event_step::handler;
    event.exception = std::move(exception);
    notify(observer, event);
}

}  // namespace detail

}  // namespace idempo
