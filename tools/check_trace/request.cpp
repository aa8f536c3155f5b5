// SPDX-License-Identifier: MIT
#include "check_trace/request.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace check_trace {

namespace {

using namespace stage;

// As in table.cpp: the rows are beside those of the model.
#define REQUEST(stages, event, next, words) request_step{stages, request_event::event, next, words},
constexpr auto table = std::to_array<request_step>({
#include "model/requests.def"
});
#undef REQUEST

struct named_event {
    std::string_view how;
    request_event event;
};
using event = request_event;

constexpr auto claim_events = std::to_array<named_event>({{"begun", event::claim_begun},
                                                          {"granted", event::claim_granted},
                                                          {"expired", event::claim_again},
                                                          {"parked", event::claim_again},
                                                          {"mismatch", event::claim_again},
                                                          {"in_flight", event::claim_refused},
                                                          {"remembered", event::claim_refused},
                                                          {"completed", event::claim_completed},
                                                          {"error", event::claim_failed},
                                                          {"full", event::claim_failed}});
constexpr auto complete_events = std::to_array<named_event>({{"begun", event::complete_begun},
                                                             {"done", event::complete_done},
                                                             {"completed", event::complete_completed},
                                                             {"in_flight", event::complete_lost},
                                                             {"mismatch", event::complete_lost},
                                                             {"error", event::complete_failed},
                                                             {"full", event::complete_failed}});
constexpr auto park_events = std::to_array<named_event>({{"begun", event::park_begun},
                                                         {"parked", event::park_parked},
                                                         {"refused", event::park_refused},
                                                         {"error", event::park_failed},
                                                         {"full", event::park_failed}});
constexpr auto abandon_events = std::to_array<named_event>({{"begun", event::abandon_begun}});
constexpr auto handler_events =
    std::to_array<named_event>({{"begun", event::handler_begun}, {"ended", event::handler_ended}});
constexpr auto reconcile_events =
    std::to_array<named_event>({{"begun", event::reconcile_begun}, {"ended", event::reconcile_ended}});
constexpr auto told_events = std::to_array<named_event>({{"settled", event::told_settled},
                                                         {"takeover", event::told_takeover},
                                                         {"reconciled", event::told_reconciled},
                                                         {"fenced", event::told_fenced},
                                                         {"executed", event::told_executed},
                                                         {"tombstone", event::told_tombstone},
                                                         {"released", event::told_released},
                                                         {"held", event::told_held},
                                                         {"parked", event::told_parked},
                                                         {"unprotected", event::told_unprotected},
                                                         {"not_persisted", event::told_not_persisted},
                                                         {"replayed", event::told_replayed},
                                                         {"in_flight", event::told_in_flight},
                                                         {"mismatch", event::told_mismatch},
                                                         {"key_expired", event::told_key_expired},
                                                         {"refused", event::told_refused},
                                                         {"record_unreadable", event::told_record_unreadable}});

constexpr std::array<std::string_view, 22> stages{"no claim was begun",
                                                  "its claim has no answer yet",
                                                  "its claim may be repeated",
                                                  "its claim was refused",
                                                  "its claim found an answer",
                                                  "its claim failed",
                                                  "its claim was granted",
                                                  "reconcile is asked",
                                                  "reconcile has answered",
                                                  "its handler runs",
                                                  "its handler has ended",
                                                  "its handler runs without a claim",
                                                  "its handler has run without a claim",
                                                  "its answer is being stored",
                                                  "the store has failed to keep its answer",
                                                  "its answer is stored",
                                                  "its record is being parked",
                                                  "its record is parked",
                                                  "another has stored an answer",
                                                  "another holds the record",
                                                  "its claim is abandoned",
                                                  "it has ended"};

std::span<named_event const> events_of(subject what) {
    switch (what) {
    case subject::claim: return claim_events;
    case subject::complete: return complete_events;
    case subject::park: return park_events;
    case subject::abandon: return abandon_events;
    case subject::handler: return handler_events;
    case subject::reconcile: return reconcile_events;
    case subject::told: return told_events;
    default: return {};
    }
}

}  // namespace

std::span<request_step const> all_request_steps() { return table; }

std::optional<bits> next_stage(std::span<request_step const> rows, bits now, request_event event) {
    for (auto const& row : rows) {
        if (row.event == event && (row.stages & now) != 0) return row.next == stage::stays ? now : row.next;
    }
    return std::nullopt;
}

std::optional<request_event> request_event_of(subject what, std::string_view how) {
    auto const known = events_of(what);
    auto const found =
        std::find_if(known.begin(), known.end(), [&](named_event const& each) { return each.how == how; });
    return found == known.end() ? std::nullopt : std::optional(found->event);
}

std::string_view rule_of(request_event event) {
    auto const found =
        std::find_if(table.begin(), table.end(), [&](request_step const& row) { return row.event == event; });
    return found == table.end() ? std::string_view() : found->words;
}

std::string_view stage_name(bits of) { return stages[static_cast<std::size_t>(std::countr_zero(of))]; }

}  // namespace check_trace
