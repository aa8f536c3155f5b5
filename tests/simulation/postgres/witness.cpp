// SPDX-License-Identifier: MIT
#include "simulation/postgres/witness.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

namespace idempo::simulation {

namespace {

using std::chrono::milliseconds;
using kind = statement_kind;
using row_run = statement_run::row_run;

template <class Id>
Id id_of(std::string const& bytes) {
    Id id;
    std::copy_n(bytes.begin(), std::min(bytes.size(), id.bytes.size()), id.bytes.begin());
    return id;
}

/// Spans count from the moment at which the row was written, if the clock was read before. Rounded down: what the
/// ground truth allows too early is less than a millisecond.
milliseconds between(postgres_time from, postgres_time to) {
    auto const span = to - from;
    return milliseconds(span >= 0 ? span / 1000 : -((-span + 999) / 1000));
}

shared_bytes bytes_of(std::optional<std::string> const& bytes) { return shared_bytes(bytes.value_or("")); }

template <class Result>
store_answer answered(Result result) {
    store_answer answer;
    answer.result = std::move(result);
    return answer;
}

/// Rounded as the library has it, away from zero, is of no matter here.
in_flight in_flight_for(postgres_row const& record, postgres_time now) {
    return {std::max(between(now, record.lease_until), milliseconds{0})};
}

/// What a claim is told of a record that is there; nothing where it could have it.
std::optional<claim_result> told_of(postgres_row const& record, claim_request const& claim, postgres_time now) {
    if (record.fingerprint != claim.fingerprint.view()) return mismatch{id_of<fingerprint>(record.fingerprint)};
    if (record.response) return completed{shared_bytes(*record.response)};
    bool const is_parked = record.parked && record.is_over(now);
    if (is_parked && !claim.take_parked)
        return parked{static_cast<unsigned>(record.attempt), shared_bytes(*record.parked)};
    if (record.token == claim.fencing_token.view()) return std::nullopt;
    if (record.has_lease(now)) return in_flight_for(record, now);
    if (!claim.take_over && record.attempt > 0) return expired{static_cast<unsigned>(record.attempt)};
    return std::nullopt;
}

claim_request claim_of(row_run const& row, kind of) {
    auto const& asked = row.asked;
    claim_request call;
    call.key = id_of<store_key>(asked.key);
    call.fencing_token = id_of<fencing_token>(asked.token);
    call.fingerprint = id_of<fingerprint>(asked.fingerprint);
    call.lease = between(row.written_at, row.written->lease_until);
    call.retention = milliseconds(asked.life - asked.lease);
    call.remember = milliseconds(asked.remember);
    call.take_over = of != kind::claim_without_takeover && of != kind::claim_without_takeover_remembering;
    call.take_parked = of == kind::claim_parked || of == kind::claim_parked_remembering;
    return call;
}

complete_request complete_of(asked_row const& asked) {
    complete_request call;
    call.key = id_of<store_key>(asked.key);
    call.fencing_token = id_of<fencing_token>(asked.token);
    call.fingerprint = id_of<fingerprint>(asked.fingerprint);
    call.record = shared_bytes(asked.bytes);
    call.retention = milliseconds(asked.life);
    call.remember = milliseconds(asked.remember);
    return call;
}

park_request park_of(asked_row const& asked) {
    park_request call;
    call.key = id_of<store_key>(asked.key);
    call.fencing_token = id_of<fencing_token>(asked.token);
    call.fingerprint = id_of<fingerprint>(asked.fingerprint);
    call.reason = shared_bytes(asked.bytes);
    call.retention = milliseconds(asked.life);
    call.remember = milliseconds(asked.remember);
    return call;
}

step_request step_of(asked_row const& asked) {
    step_request call;
    call.key = id_of<store_key>(asked.key);
    call.fencing_token = id_of<fencing_token>(asked.token);
    call.offset = static_cast<std::size_t>(asked.number);
    call.step = shared_bytes(asked.bytes);
    return call;
}

settle_request settle_of(asked_row const& asked, bool is_free) {
    settle_request call;
    call.key = id_of<store_key>(asked.key);
    call.attempt = static_cast<unsigned>(asked.number);
    call.retention = milliseconds(asked.life);
    if (!is_free) call.record = shared_bytes(asked.bytes);
    return call;
}

/// A call that answers whether it has found what it needs.
std::optional<store_call> yes_or_no(statement_run const& run, asked_row const& asked, milliseconds lease) {
    switch (run.kind()) {
    case kind::renew: return renew_request{id_of<store_key>(asked.key), id_of<fencing_token>(asked.token), lease};
    case kind::save_step: return step_of(asked);
    case kind::park: return park_of(asked);
    case kind::settle: return settle_of(asked, false);
    case kind::free: return settle_of(asked, true);
    default: return std::nullopt;
    }
}

abandon_request abandon_of(asked_row const& asked) {
    return {id_of<store_key>(asked.key), id_of<fencing_token>(asked.token)};
}

void look_of_claim(row_run const& row, std::size_t process, pending_calls const& pending, witnessed_calls& seen) {
    if (!row.is_met && !row.has_mark) return;
    for (auto const& [by, call] : pending) {
        auto const* const claim = std::get_if<claim_request>(&call);
        if (by != process || claim == nullptr || claim->key.view() != row.asked.key) continue;
        auto told =
            row.has_mark ? std::optional<claim_result>(remembered{}) : told_of(*row.found, *claim, row.looked_at);
        if (told) seen.push_back({*claim, answered(std::move(*told)), row.looked_at});
    }
}

std::optional<complete_result> told_of(postgres_row const& record, complete_request const& call, postgres_time now) {
    bool const is_own = record.token == call.fencing_token.view();
    if (record.fingerprint != call.fingerprint.view()) return mismatch{id_of<fingerprint>(record.fingerprint)};
    if (record.response && is_own) return done{};
    if (record.response) return completed{shared_bytes(*record.response)};
    if (is_own && record.is_not_parked(now)) return std::nullopt;
    return in_flight_for(record, now);
}

void look_of_read(row_run const& row, std::vector<asked_row> const& not_stored, witnessed_calls& seen) {
    if (!row.found) return;
    for (auto const& asked : not_stored) {
        if (asked.key != row.asked.key) continue;
        auto const call = complete_of(asked);
        auto told = told_of(*row.found, call, row.looked_at);
        if (told) seen.push_back({call, answered(std::move(*told)), row.looked_at});
    }
}

}  // namespace

witnessed_calls witness_look(statement_run const& run, std::size_t process, pending_calls const& pending,
                             std::vector<asked_row> const& not_stored) {
    witnessed_calls seen;
    for (auto const& row : run.rows()) {
        if (is_claim(run.kind())) {
            look_of_claim(row, process, pending, seen);
        } else if (run.kind() == kind::read) {
            look_of_read(row, not_stored, seen);
        } else if (!row.is_wanted) {
            auto const refused = witness_refusal(run, row);
            seen.insert(seen.end(), refused.begin(), refused.end());
        }
    }
    return seen;
}

witnessed_calls witness_refusal(statement_run const& run, row_run const& row) {
    auto const when = std::max(row.looked_at, row.written_at);
    if (run.kind() == kind::abandon) return {{abandon_of(row.asked), {}, when}};
    auto call = yes_or_no(run, row.asked, milliseconds(row.asked.lease));
    if (!call) return {};
    return {{std::move(*call), answered(false), when}};
}

witnessed_calls witness_commit(statement_run const& run) {
    witnessed_calls seen;
    for (auto const& row : run.rows()) {
        if (!row.written) continue;
        auto asked = row.asked;
        if (is_complete(run.kind()) || run.kind() == kind::park) {
            asked.life = between(row.written_at, row.written->expires_at).count();
        }
        if (is_claim(run.kind())) {
            granted const grant{static_cast<unsigned>(row.written->attempt), bytes_of(row.written->steps)};
            seen.push_back({claim_of(row, run.kind()), answered(claim_result(grant)), row.written_at});
        } else if (is_complete(run.kind())) {
            seen.push_back({complete_of(asked), answered(complete_result(done{})), row.written_at});
        } else if (run.kind() == kind::abandon) {
            seen.push_back({abandon_of(asked), {}, row.written_at});
        } else if (auto call = yes_or_no(run, asked, between(row.written_at, row.written->lease_until))) {
            seen.push_back({std::move(*call), answered(true), row.written_at});
        }
    }
    return seen;
}

}  // namespace idempo::simulation
