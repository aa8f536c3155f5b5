// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace idempo::simulation {

/// Seeded bugs, one at a time, to show that the checks find them. They are in the simulated store and in its client;
/// nothing of the library has a switch.
enum class mutant {
    none,
    // In the store in memory, and in the model of a client.
    complete_without_fence,
    complete_replaces,
    complete_needs_live_lease,
    abandon_without_fence,
    abandon_forgets_attempt,
    renew_without_fence,
    renew_does_nothing,
    takeover_without_lease_check,
    takeover_by_other_request,
    takeover_is_not_counted,
    replay_to_other_request,
    clock_of_the_client,
    claim_in_two_steps,
    record_ends_with_lease,
    step_without_fence,
    steps_are_forgotten,
    parked_runs_again,
    tombstone_is_released,
    marks_are_ignored,
    acknowledged_before_disk,
    answer_before_store,
    heartbeat_is_not_sent,
    abandon_at_shutdown,
    abandon_when_complete_fails,
    claim_timeout_is_granted,
    reply_of_another_call,
    fenced_complete_is_done,
    hold_takes_over,
    complete_needs_record,
    own_claim_is_refused,
    retry_with_new_token,
    claim_after_wait_has_same_token,
    lost_step_is_kept,
    fenced_step_is_kept,
    // In the simulated Redis.
    redis_abandon_without_fence,
    redis_abandon_removes,
    redis_complete_without_fence,
    redis_renew_without_fence,
    redis_renew_does_nothing,
    redis_step_without_fence,
    redis_takeover_of_live_lease,
    redis_takeover_is_not_counted,
    redis_takeover_drops_steps,
    redis_claim_ignores_fingerprint,
    redis_park_stays_open,
    redis_forgets_used_keys,
    redis_mark_ends_early,
    redis_set_replaces,
    redis_script_is_not_atomic,
    redis_acknowledged_before_disk,
    redis_wait_is_ignored,
    redis_resends_with_new_token,
    redis_reply_of_another_call,
    // In the simulated PostgreSQL.
    postgres_takeover_of_live_lease,
    postgres_takeover_is_not_counted,
    postgres_takeover_drops_steps,
    postgres_claim_ignores_fingerprint,
    postgres_claim_trusts_its_look,
    postgres_expired_record_goes_on,
    postgres_complete_without_fence,
    postgres_own_answer_is_anothers,
    postgres_renew_without_fence,
    postgres_renew_does_nothing,
    postgres_abandon_without_fence,
    postgres_abandon_removes,
    postgres_step_without_fence,
    postgres_parked_runs,
    postgres_forgets_used_keys,
    postgres_sweeper_takes_ended_leases,
    postgres_rows_are_not_locked,
    postgres_answered_before_commit,
    postgres_acknowledged_before_disk,
    postgres_answers_are_swapped,
    postgres_answer_of_another_session,
    postgres_late_processes_are_forgotten,
    postgres_commit_does_not_wait,
};

struct mutant_name {
    mutant which;
    std::string_view name;
};

inline constexpr std::array mutant_names{
    mutant_name{mutant::complete_without_fence, "complete_without_fence"},
    mutant_name{mutant::complete_replaces, "complete_replaces"},
    mutant_name{mutant::complete_needs_live_lease, "complete_needs_live_lease"},
    mutant_name{mutant::abandon_without_fence, "abandon_without_fence"},
    mutant_name{mutant::abandon_forgets_attempt, "abandon_forgets_attempt"},
    mutant_name{mutant::renew_without_fence, "renew_without_fence"},
    mutant_name{mutant::renew_does_nothing, "renew_does_nothing"},
    mutant_name{mutant::takeover_without_lease_check, "takeover_without_lease_check"},
    mutant_name{mutant::takeover_by_other_request, "takeover_by_other_request"},
    mutant_name{mutant::takeover_is_not_counted, "takeover_is_not_counted"},
    mutant_name{mutant::replay_to_other_request, "replay_to_other_request"},
    mutant_name{mutant::clock_of_the_client, "clock_of_the_client"},
    mutant_name{mutant::claim_in_two_steps, "claim_in_two_steps"},
    mutant_name{mutant::record_ends_with_lease, "record_ends_with_lease"},
    mutant_name{mutant::step_without_fence, "step_without_fence"},
    mutant_name{mutant::steps_are_forgotten, "steps_are_forgotten"},
    mutant_name{mutant::parked_runs_again, "parked_runs_again"},
    mutant_name{mutant::tombstone_is_released, "tombstone_is_released"},
    mutant_name{mutant::marks_are_ignored, "marks_are_ignored"},
    mutant_name{mutant::acknowledged_before_disk, "acknowledged_before_disk"},
    mutant_name{mutant::answer_before_store, "answer_before_store"},
    mutant_name{mutant::heartbeat_is_not_sent, "heartbeat_is_not_sent"},
    mutant_name{mutant::abandon_at_shutdown, "abandon_at_shutdown"},
    mutant_name{mutant::abandon_when_complete_fails, "abandon_when_complete_fails"},
    mutant_name{mutant::claim_timeout_is_granted, "claim_timeout_is_granted"},
    mutant_name{mutant::reply_of_another_call, "reply_of_another_call"},
    mutant_name{mutant::fenced_complete_is_done, "fenced_complete_is_done"},
    mutant_name{mutant::hold_takes_over, "hold_takes_over"},
    mutant_name{mutant::complete_needs_record, "complete_needs_record"},
    mutant_name{mutant::own_claim_is_refused, "own_claim_is_refused"},
    mutant_name{mutant::retry_with_new_token, "retry_with_new_token"},
    mutant_name{mutant::claim_after_wait_has_same_token, "claim_after_wait_has_same_token"},
    mutant_name{mutant::lost_step_is_kept, "lost_step_is_kept"},
    mutant_name{mutant::fenced_step_is_kept, "fenced_step_is_kept"},
    mutant_name{mutant::redis_abandon_without_fence, "redis_abandon_without_fence"},
    mutant_name{mutant::redis_abandon_removes, "redis_abandon_removes"},
    mutant_name{mutant::redis_complete_without_fence, "redis_complete_without_fence"},
    mutant_name{mutant::redis_renew_without_fence, "redis_renew_without_fence"},
    mutant_name{mutant::redis_renew_does_nothing, "redis_renew_does_nothing"},
    mutant_name{mutant::redis_step_without_fence, "redis_step_without_fence"},
    mutant_name{mutant::redis_takeover_of_live_lease, "redis_takeover_of_live_lease"},
    mutant_name{mutant::redis_takeover_is_not_counted, "redis_takeover_is_not_counted"},
    mutant_name{mutant::redis_takeover_drops_steps, "redis_takeover_drops_steps"},
    mutant_name{mutant::redis_claim_ignores_fingerprint, "redis_claim_ignores_fingerprint"},
    mutant_name{mutant::redis_park_stays_open, "redis_park_stays_open"},
    mutant_name{mutant::redis_forgets_used_keys, "redis_forgets_used_keys"},
    mutant_name{mutant::redis_mark_ends_early, "redis_mark_ends_early"},
    mutant_name{mutant::redis_set_replaces, "redis_set_replaces"},
    mutant_name{mutant::redis_script_is_not_atomic, "redis_script_is_not_atomic"},
    mutant_name{mutant::redis_acknowledged_before_disk, "redis_acknowledged_before_disk"},
    mutant_name{mutant::redis_wait_is_ignored, "redis_wait_is_ignored"},
    mutant_name{mutant::redis_resends_with_new_token, "redis_resends_with_new_token"},
    mutant_name{mutant::redis_reply_of_another_call, "redis_reply_of_another_call"},
    mutant_name{mutant::postgres_takeover_of_live_lease, "postgres_takeover_of_live_lease"},
    mutant_name{mutant::postgres_takeover_is_not_counted, "postgres_takeover_is_not_counted"},
    mutant_name{mutant::postgres_takeover_drops_steps, "postgres_takeover_drops_steps"},
    mutant_name{mutant::postgres_claim_ignores_fingerprint, "postgres_claim_ignores_fingerprint"},
    mutant_name{mutant::postgres_claim_trusts_its_look, "postgres_claim_trusts_its_look"},
    mutant_name{mutant::postgres_expired_record_goes_on, "postgres_expired_record_goes_on"},
    mutant_name{mutant::postgres_complete_without_fence, "postgres_complete_without_fence"},
    mutant_name{mutant::postgres_own_answer_is_anothers, "postgres_own_answer_is_anothers"},
    mutant_name{mutant::postgres_renew_without_fence, "postgres_renew_without_fence"},
    mutant_name{mutant::postgres_renew_does_nothing, "postgres_renew_does_nothing"},
    mutant_name{mutant::postgres_abandon_without_fence, "postgres_abandon_without_fence"},
    mutant_name{mutant::postgres_abandon_removes, "postgres_abandon_removes"},
    mutant_name{mutant::postgres_step_without_fence, "postgres_step_without_fence"},
    mutant_name{mutant::postgres_parked_runs, "postgres_parked_runs"},
    mutant_name{mutant::postgres_forgets_used_keys, "postgres_forgets_used_keys"},
    mutant_name{mutant::postgres_sweeper_takes_ended_leases, "postgres_sweeper_takes_ended_leases"},
    mutant_name{mutant::postgres_rows_are_not_locked, "postgres_rows_are_not_locked"},
    mutant_name{mutant::postgres_answered_before_commit, "postgres_answered_before_commit"},
    mutant_name{mutant::postgres_acknowledged_before_disk, "postgres_acknowledged_before_disk"},
    mutant_name{mutant::postgres_answers_are_swapped, "postgres_answers_are_swapped"},
    mutant_name{mutant::postgres_answer_of_another_session, "postgres_answer_of_another_session"},
    mutant_name{mutant::postgres_late_processes_are_forgotten, "postgres_late_processes_are_forgotten"},
    mutant_name{mutant::postgres_commit_does_not_wait, "postgres_commit_does_not_wait"},
};

[[nodiscard]] inline std::string_view name_of(mutant which) {
    for (auto const& named : mutant_names) {
        if (named.which == which) return named.name;
    }
    return "none";
}

[[nodiscard]] inline bool is_of_postgres(mutant which) { return which >= mutant::postgres_takeover_of_live_lease; }
[[nodiscard]] inline bool is_of_redis(mutant which) {
    return which >= mutant::redis_abandon_without_fence && !is_of_postgres(which);
}

[[nodiscard]] inline std::optional<mutant> mutant_of(std::string_view name) {
    for (auto const& named : mutant_names) {
        if (named.name == name) return named.which;
    }
    return std::nullopt;
}

}  // namespace idempo::simulation
