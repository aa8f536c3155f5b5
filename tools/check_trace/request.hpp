// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/entry.hpp"
#include "check_trace/table.hpp"

#include <optional>
#include <span>
#include <string_view>

/// \file
/// The table of `model/requests.def`: what may happen to a request, by the token of its claim.

namespace check_trace {

namespace stage {
enum : bits {
    stays = 0,
    fresh = 1U << 0U,
    claiming = 1U << 1U,
    again = 1U << 2U,
    refused = 1U << 3U,
    replaying = 1U << 4U,
    failed = 1U << 5U,
    granted = 1U << 6U,
    asking = 1U << 7U,
    asked = 1U << 8U,
    running = 1U << 9U,
    ran = 1U << 10U,
    alone = 1U << 11U,
    alone_ran = 1U << 12U,
    saving = 1U << 13U,
    unsaved = 1U << 14U,
    stored = 1U << 15U,
    parking = 1U << 16U,
    parked = 1U << 17U,
    beaten = 1U << 18U,
    lost = 1U << 19U,
    given_up = 1U << 20U,
    over = 1U << 21U,
};
}

enum class request_event {
    claim_begun,
    claim_granted,
    claim_again,
    claim_refused,
    claim_completed,
    claim_failed,
    abandon_begun,
    reconcile_begun,
    reconcile_ended,
    handler_begun,
    handler_ended,
    complete_begun,
    complete_done,
    complete_completed,
    complete_lost,
    complete_failed,
    park_begun,
    park_parked,
    park_refused,
    park_failed,
    told_settled,
    told_takeover,
    told_reconciled,
    told_fenced,
    told_executed,
    told_tombstone,
    told_released,
    told_held,
    told_parked,
    told_unprotected,
    told_not_persisted,
    told_replayed,
    told_in_flight,
    told_mismatch,
    told_key_expired,
    told_refused,
    told_record_unreadable,
};

/// One row.
struct request_step {
    bits stages;
    request_event event;
    bits next;
    std::string_view words;
};

[[nodiscard]] std::span<request_step const> all_request_steps();

/// The stage after the event; empty where the table forbids it.
[[nodiscard]] std::optional<bits> next_stage(std::span<request_step const> table, bits now, request_event event);

/// Empty for what may happen at any time: renewals, steps, the end of an Abandon, and events that are no outcome.
[[nodiscard]] std::optional<request_event> request_event_of(subject what, std::string_view how);

/// What the table says of the event, as a rule.
[[nodiscard]] std::string_view rule_of(request_event event);
[[nodiscard]] std::string_view stage_name(bits of);

}  // namespace check_trace
