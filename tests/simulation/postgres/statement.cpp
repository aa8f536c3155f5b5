// SPDX-License-Identifier: MIT
#include "simulation/postgres/statement.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace idempo::simulation {

namespace {

using kind = statement_kind;

constexpr std::size_t largest_inline_record = 8192;
/// In milliseconds.
constexpr std::int64_t sweepers_grace = 60'000;

bool is_single(kind of) {
    switch (of) {
    case kind::complete_one:
    case kind::save_step:
    case kind::park:
    case kind::settle:
    case kind::free:
    case kind::peek:
    case kind::forget: return true;
    default: return false;
    }
}

using columns = std::vector<std::vector<std::string>>;

columns columns_of(kind of, std::vector<std::string> const& parameters) {
    columns made;
    for (auto const& each : parameters) {
        made.push_back(is_single(of) ? std::vector<std::string>{each} : read_array(each));
    }
    return made;
}

asked_row asked_by(kind of, columns const& all, std::size_t row) {
    auto const text = [&](std::size_t column) { return all.at(column).at(row); };
    auto const number = [&](std::size_t column) { return read_int(all.at(column).at(row)); };
    asked_row asked;
    asked.key = text(0);
    if (is_claim(of)) {
        asked.token = text(1);
        asked.fingerprint = text(2);
        asked.lease = number(3);
        asked.life = number(4);
        asked.remember = number(5);
        return asked;
    }
    switch (of) {
    case kind::complete_many:
    case kind::complete_one:
    case kind::park:
        asked.token = text(1);
        asked.fingerprint = text(2);
        asked.life = number(3);
        asked.bytes = text(4);
        asked.remember = number(5);
        break;
    case kind::renew:
        asked.token = text(1);
        asked.lease = number(2);
        break;
    case kind::save_step:
        asked.token = text(1);
        asked.number = number(2);
        asked.bytes = text(3);
        break;
    case kind::settle: asked.bytes = text(3); [[fallthrough]];
    case kind::free:
        asked.number = number(1);
        asked.life = number(2);
        break;
    case kind::abandon:
    case kind::fetch: asked.token = text(1); break;
    default: break;
    }
    return asked;
}

std::optional<std::int64_t> remembered_for(asked_row const& asked) {
    return asked.remember > 0 ? std::optional(asked.remember) : std::nullopt;
}

postgres_row new_row(asked_row const& by) {
    postgres_row made;
    made.key = by.key;
    made.token = by.token;
    made.fingerprint = by.fingerprint;
    made.remember = remembered_for(by);
    return made;
}

postgres_field size_of(std::optional<std::string> const& bytes) {
    return bytes ? postgres_field(write_int4(static_cast<std::int32_t>(bytes->size()))) : std::nullopt;
}

/// Everything that `record_columns` names, of an unexpired record.
postgres_fields record_fields(postgres_row const& record, postgres_time now) {
    bool const is_inline = record.response && record.response->size() <= largest_inline_record;
    return {record.key,
            write_int4(record.attempt),
            record.token,
            record.fingerprint,
            write_int8(record.lease_until - now),
            size_of(record.response),
            is_inline ? record.response : std::nullopt,
            record.is_over(now) ? record.parked : std::nullopt};
}

std::string prefix_of(std::string const& key) { return key.substr(0, 16); }

}  // namespace

statement_run::statement_run(statement_kind of, std::vector<std::string> const& parameters, mutant bug)
    : kind_(of),
      bug_(bug) {
    if (kind_ == kind::lock_walk) return;
    if (kind_ == kind::sweep_records || kind_ == kind::sweep_marks) {
        begins_at_front_ = read_int(parameters.at(0).substr(0, 4)) == 0;
        return;
    }
    auto const all = columns_of(kind_, parameters);
    for (std::size_t row = 0; row < all.at(0).size(); ++row) rows_.push_back({.asked = asked_by(kind_, all, row)});
}

bool statement_run::is_read() const noexcept {
    return kind_ == kind::read || kind_ == kind::fetch || kind_ == kind::peek || kind_ == kind::lock_walk;
}

bool statement_run::looks_for_marks() const noexcept {
    bool const is_asked = kind_ == kind::claim_remembering || kind_ == kind::claim_without_takeover_remembering ||
                          kind_ == kind::claim_parked_remembering;
    return is_asked && bug_ != mutant::postgres_forgets_used_keys;
}

void statement_run::look(postgres_tables const& committed, postgres_time now,
                         std::function<bool(std::string const&)> const& is_locked) {
    looked_at_ = now;
    if (kind_ == kind::sweep_records || kind_ == kind::sweep_marks) return sweep(committed, now, is_locked);
    for (auto& row : rows_) {
        row.looked_at = now;
        look_at(row, committed, now);
    }
}

void statement_run::look_at(row_run& row, postgres_tables const& committed, postgres_time now) {
    auto const& asked = row.asked;
    auto const* const record = committed.find(asked.key);
    if (record != nullptr && record->is_live(now)) row.found = *record;
    if (is_claim(kind_)) return look_for_claim(row, committed, now);
    switch (kind_) {
    case kind::complete_many:
    case kind::complete_one:
    case kind::park: row.is_wanted = true; break;
    case kind::renew:
    case kind::abandon: row.is_wanted = row.found && is_held(*row.found, asked, now); break;
    case kind::save_step:
        row.is_wanted = row.found && is_held(*row.found, asked, now) && asked.number <= row.found->steps_size();
        break;
    case kind::settle:
    case kind::free: row.is_wanted = row.found && row.found->is_over(now) && row.found->attempt == asked.number; break;
    case kind::forget: row.is_wanted = record != nullptr && (record->is_live(now) || record->is_remembered(now)); break;
    case kind::fetch:
        row.found.reset();
        if (record != nullptr && record->token == asked.token && record->response) row.found = *record;
        break;
    case kind::peek: row.has_mark = record != nullptr && !row.found && record->is_remembered(now); break;
    default: break;
    }
    if (row.has_mark) marks_.push_back(later_by(record->expires_at, *record->remember));
    if (!committed.has_mark(asked.key, now)) return;
    if (kind_ == kind::peek) marks_.push_back(committed.marks.at(prefix_of(asked.key)));
    if (kind_ == kind::free || kind_ == kind::forget) unmarked_.push_back(prefix_of(asked.key));
}

bool statement_run::is_held(postgres_row const& record, asked_row const& by, postgres_time now) const {
    bool const is_ignored = (bug_ == mutant::postgres_renew_without_fence && kind_ == kind::renew) ||
                            (bug_ == mutant::postgres_abandon_without_fence && kind_ == kind::abandon) ||
                            (bug_ == mutant::postgres_step_without_fence && kind_ == kind::save_step);
    bool const is_own = is_ignored || record.token == by.token;
    return is_own && !record.response && record.is_live(now) && record.is_not_parked(now);
}

/// Whether the record's lease has ended, and this claim may do something about it.
bool statement_run::takes_over(postgres_row const& record, postgres_time now) const {
    bool const is_over = !record.has_lease(now) || bug_ == mutant::postgres_takeover_of_live_lease;
    if (!is_over) return false;
    if (bug_ == mutant::postgres_parked_runs) return true;
    switch (kind_) {
    case kind::claim_parked:
    case kind::claim_parked_remembering: return true;
    case kind::claim:
    case kind::claim_remembering: return !record.parked;
    default: return record.attempt == 0 && !record.parked;
    }
}

void statement_run::look_for_claim(row_run& row, postgres_tables const& committed, postgres_time now) const {
    auto const& asked = row.asked;
    if (row.found) {
        auto const& found = *row.found;
        bool const is_same =
            found.fingerprint == asked.fingerprint || bug_ == mutant::postgres_claim_ignores_fingerprint;
        bool const is_own = found.token == asked.token && !(found.is_over(now) && found.parked);
        bool const may_take = is_own || (!found.response && takes_over(found, now));
        row.is_met = !(!found.response && is_same && may_take);
    } else if (looks_for_marks()) {
        auto const* const record = committed.find(asked.key);
        row.has_mark = (record != nullptr && record->is_remembered(now)) || committed.has_mark(asked.key, now);
    }
    row.is_wanted = !row.is_met && !row.has_mark;
}

bool statement_run::may_claim(row_run const& row, postgres_row const& record, postgres_time now) const {
    if (bug_ == mutant::postgres_claim_trusts_its_look) return true;
    if (!record.is_live(now)) return !(looks_for_marks() && record.is_remembered(now));
    bool const is_same =
        record.fingerprint == row.asked.fingerprint || bug_ == mutant::postgres_claim_ignores_fingerprint;
    bool const is_own = record.token == row.asked.token && record.is_not_parked(now);
    return !record.response && is_same && (is_own || takes_over(record, now));
}

void statement_run::write_row(std::size_t number, postgres_tables const& committed, postgres_time now) {
    auto& row = rows_[number];
    auto const* const record = committed.find(row.asked.key);
    row.written_at = now;
    if (record != nullptr) row.before = *record;
    if (is_claim(kind_)) return write_claim(row, record, now);
    switch (kind_) {
    case kind::complete_many:
    case kind::complete_one: return write_complete(row, record, now);
    case kind::renew: return write_renewed(row, record, now);
    case kind::save_step: return write_step(row, record, now);
    case kind::park: return write_parked(row, record, now);
    case kind::settle:
    case kind::free: return write_settled(row, record, now);
    case kind::abandon: return write_abandoned(row, record, now);
    case kind::forget: return write_forgotten(row, record, now);
    default: throw std::logic_error("a statement that writes no rows");
    }
}

void statement_run::write_claim(row_run& row, postgres_row const* record, postgres_time now) const {
    auto const& asked = row.asked;
    if (record != nullptr && !may_claim(row, *record, now)) return;
    auto made = new_row(asked);
    made.lease_until = later_by(row.source, asked.lease);
    made.expires_at = later_by(row.source, asked.life);
    if (record != nullptr) {
        bool const is_live = record->is_live(now) || bug_ == mutant::postgres_expired_record_goes_on;
        bool const is_own = record->token == asked.token;
        bool const is_counted = bug_ != mutant::postgres_takeover_is_not_counted;
        made.attempt = 1;
        if (is_live) made.attempt = is_own || !is_counted ? record->attempt : record->attempt + 1;
        bool const keeps_steps = is_live && (is_own || bug_ != mutant::postgres_takeover_drops_steps);
        if (keeps_steps) made.steps = record->steps;
        if (is_live) made.parked = record->parked;
        if (is_live && is_own) {  // the clock was read before the row was locked
            auto const by = std::max<postgres_time>(record->lease_until - made.lease_until, 0);
            made.lease_until += by;
            made.expires_at += by;
        }
    }
    row.written = std::move(made);
}

void statement_run::write_complete(row_run& row, postgres_row const* record, postgres_time now) const {
    auto const& asked = row.asked;
    bool const is_fenced = bug_ != mutant::postgres_complete_without_fence;
    if (record != nullptr && record->is_live(now)) {
        bool const is_own = record->token == asked.token || !is_fenced;
        bool const may_store =
            !record->response && is_own && record->fingerprint == asked.fingerprint && record->is_not_parked(now);
        if (!may_store) return;
    }
    auto made = new_row(asked);
    if (record != nullptr && record->token == asked.token) made.attempt = record->attempt;
    made.lease_until = row.source;
    made.expires_at = later_by(row.source, asked.life);
    made.response = asked.bytes;
    row.written = std::move(made);
}

/// The clock is read when the row is locked.
void statement_run::write_renewed(row_run& row, postgres_row const* record, postgres_time now) const {
    if (record == nullptr || !is_held(*record, row.asked, now)) return;
    auto made = *record;
    if (bug_ != mutant::postgres_renew_does_nothing) {
        made.lease_until = later_by(now, row.asked.lease);
        made.expires_at = made.lease_until + (record->expires_at - record->lease_until);
    }
    row.written = std::move(made);
}

void statement_run::write_step(row_run& row, postgres_row const* record, postgres_time now) const {
    auto const& asked = row.asked;
    if (record == nullptr || !is_held(*record, asked, now) || asked.number > record->steps_size()) return;
    auto made = *record;
    if (asked.number == record->steps_size()) made.steps = record->steps.value_or("") + asked.bytes;
    row.written = std::move(made);
}

void statement_run::write_parked(row_run& row, postgres_row const* record, postgres_time now) const {
    auto const& asked = row.asked;
    bool const is_live = record != nullptr && record->is_live(now);
    if (is_live && (record->response || record->token != asked.token || record->fingerprint != asked.fingerprint)) {
        return;
    }
    auto made = new_row(asked);
    if (is_live) {
        made.attempt = record->attempt;
        made.steps = record->steps;
    }
    made.lease_until = row.source;
    made.expires_at = later_by(row.source, asked.life);
    made.parked = asked.bytes;
    row.written = std::move(made);
}

void statement_run::write_settled(row_run& row, postgres_row const* record, postgres_time now) const {
    auto const& asked = row.asked;
    if (record == nullptr || record->attempt != asked.number || !record->is_live(now) || !record->is_over(now)) return;
    auto made = *record;
    made.token.clear();
    made.lease_until = now;
    made.expires_at = later_by(now, asked.life);
    made.parked.reset();
    if (kind_ == kind::settle) {
        made.response = asked.bytes;
        made.steps.reset();
    } else {
        made.attempt = 0;
        if (!made.steps) {
            made.expires_at = minus_infinity;
            made.remember.reset();
        }
    }
    row.written = std::move(made);
}

void statement_run::write_abandoned(row_run& row, postgres_row const* record, postgres_time now) const {
    auto made = record != nullptr ? *record : *row.found;
    if (record != nullptr) {
        bool const is_own = record->token == row.asked.token || bug_ == mutant::postgres_abandon_without_fence;
        if (!is_own || record->response || !record->is_live(now) || !record->is_not_parked(now)) return;
    } else {
        made.response = made.steps = made.parked = std::nullopt;
        made.remember = std::nullopt;
    }
    bool const is_left =
        record != nullptr && (record->attempt > 1 || record->steps) && bug_ != mutant::postgres_abandon_removes;
    if (is_left) {
        made.token.clear();
        made.attempt = record->attempt - 1;
        made.expires_at = now + (record->expires_at - record->lease_until);
    } else {
        made.expires_at = minus_infinity;
    }
    made.lease_until = record != nullptr ? now : row.source;
    row.written = std::move(made);
}

void statement_run::write_forgotten(row_run& row, postgres_row const* record, postgres_time now) const {
    if (record == nullptr || !(record->is_live(now) || record->is_remembered(now))) return;
    auto made = *record;
    made.lease_until = now;
    made.expires_at = minus_infinity;
    made.response = made.steps = made.parked = std::nullopt;
    made.remember.reset();
    row.written = std::move(made);
}

/// All rows are in the first pages.
void statement_run::sweep(postgres_tables const& committed, postgres_time now,
                          std::function<bool(std::string const&)> const& is_locked) {
    if (!begins_at_front_) return;
    if (kind_ == kind::sweep_marks) {
        for (auto const& [prefix, until] : committed.marks) {
            if (until <= now) unmarked_.push_back(prefix);
        }
        return;
    }
    for (auto const& [key, record] : committed.records) {
        auto const due = now - 1000 * (record.remember ? sweepers_grace : 0);
        auto const end = bug_ == mutant::postgres_sweeper_takes_ended_leases && !record.response ? record.lease_until
                                                                                                 : record.expires_at;
        if (end > due || is_locked(key)) continue;
        deleted_.push_back(key);
        if (!record.remember) continue;
        auto const until = later_by(record.expires_at, *record.remember);
        if (until > now) marked_[prefix_of(key)] = until;
    }
}

void statement_run::apply_to(postgres_tables& tables) const {
    for (auto const& row : rows_) {
        if (row.written) tables.records[row.asked.key] = *row.written;
    }
    for (auto const& key : deleted_) tables.records.erase(key);
    for (auto const& [prefix, until] : marked_) {
        auto& mark = tables.marks.try_emplace(prefix, until).first->second;
        mark = std::max(mark, until);
    }
    for (auto const& prefix : unmarked_) {
        auto const mark = tables.marks.find(prefix);
        bool const has_ended = mark != tables.marks.end() && mark->second <= looked_at_;
        if (has_ended || kind_ != kind::sweep_marks) tables.marks.erase(prefix);
    }
}

std::vector<postgres_fields> statement_run::answer(postgres_tables const& committed) const {
    if (is_claim(kind_)) return claimed();
    switch (kind_) {
    case kind::complete_many:
    case kind::complete_one:
    case kind::renew: return written_keys();
    case kind::save_step:
    case kind::park:
    case kind::settle:
    case kind::free:
    case kind::forget: return ones();
    case kind::abandon: return {};
    case kind::read: return records_read();
    case kind::fetch: return fetched();
    case kind::peek: return peeked();
    case kind::lock_walk: return {{write_bool(may_walk_)}};
    default: break;
    }
    bool const is_of_records = kind_ == kind::sweep_records;
    auto const deleted = is_of_records ? deleted_.size() : unmarked_.size();
    bool const has_pages = is_of_records ? !committed.records.empty() : !committed.marks.empty();
    return {{write_int8(static_cast<std::int64_t>(deleted)), write_int8(has_pages ? 1 : 0)}};
}

std::vector<postgres_fields> statement_run::claimed() const {
    std::vector<postgres_fields> made;
    std::vector<postgres_fields> met;
    std::vector<postgres_fields> marked;
    postgres_field const null;
    for (auto const& row : rows_) {
        auto const& key = row.asked.key;
        if (row.written) {
            made.push_back({key, write_int4(row.written->attempt), null, null, null, null, row.written->steps, null});
        }
        if (row.is_met) met.push_back(record_fields(*row.found, row.looked_at));
        if (row.has_mark) marked.push_back({key, null, std::string(), null, null, null, null, null});
    }
    made.insert(made.end(), met.begin(), met.end());
    made.insert(made.end(), marked.begin(), marked.end());
    return made;
}

std::vector<postgres_fields> statement_run::written_keys() const {
    std::vector<postgres_fields> made;
    for (auto const& row : rows_) {
        if (row.written) made.push_back({row.asked.key});
    }
    return made;
}

/// A row for each that was written, and in the case of `forget` for each mark.
std::vector<postgres_fields> statement_run::ones() const {
    auto count = static_cast<std::size_t>(
        std::count_if(rows_.begin(), rows_.end(), [](row_run const& row) { return row.written.has_value(); }));
    if (kind_ == kind::forget) count += unmarked_.size();
    return {count, postgres_fields{write_int4(1)}};
}

std::vector<postgres_fields> statement_run::records_read() const {
    std::vector<postgres_fields> made;
    for (auto const& row : rows_) {
        if (!row.found) continue;
        made.push_back(record_fields(*row.found, row.looked_at));
        if (bug_ == mutant::postgres_own_answer_is_anothers && row.found->response) made.back()[2] = std::string();
    }
    return made;
}

std::vector<postgres_fields> statement_run::fetched() const {
    std::vector<postgres_fields> made;
    for (auto const& row : rows_) {
        if (row.found) made.push_back({row.asked.key, row.found->response});
    }
    return made;
}

std::vector<postgres_fields> statement_run::peeked() const {
    std::vector<postgres_fields> made;
    postgres_field const null;
    auto const& row = rows_.front();
    if (row.found) {
        auto const& found = *row.found;
        bool const is_parked = found.parked && !found.has_lease(looked_at_);
        made.push_back({write_int4(found.attempt), write_int8(found.lease_until - looked_at_),
                        write_int8(found.expires_at - looked_at_), size_of(found.response),
                        write_int4(static_cast<std::int32_t>(found.steps_size())), found.parked, write_bool(is_parked),
                        null, write_bool(false)});
    }
    for (auto const until : marks_) {
        made.push_back({write_int4(0), write_int8(0), write_int8(until - looked_at_), null, write_int4(0), null,
                        write_bool(false), null, write_bool(true)});
    }
    return made;
}

}  // namespace idempo::simulation
