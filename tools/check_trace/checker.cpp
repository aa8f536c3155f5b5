// SPDX-License-Identifier: MIT
#include "check_trace/checker.hpp"

#include <algorithm>
#include <utility>

namespace check_trace {

namespace {

/// Calls of one record that are judged together, and calls without an answer that are remembered for it.
constexpr std::size_t most_calls = 4096;
constexpr std::size_t most_lost = 256;
/// Claims of one request that got no answer.
constexpr std::size_t most_alike = 32;
constexpr std::size_t few_alike = 4;

/// How many may have been executed before these calls: the attempts that are told count them. Orders multiply with
/// them.
std::size_t alike_needed(std::vector<call> const& calls) {
    std::size_t needed = few_alike;
    for (auto const& each : calls) needed = std::max(needed, std::size_t{each.attempt} + 1);
    return std::min(needed, most_alike);
}

constexpr microseconds microseconds_a_millisecond = 1000;

microseconds span(entry const& line, std::string_view name) {
    auto const milliseconds = number_field(line, name, 0);
    constexpr auto most = static_cast<std::uint64_t>(never / microseconds_a_millisecond);
    return milliseconds >= most ? never : static_cast<microseconds>(milliseconds) * microseconds_a_millisecond;
}

call begun(entry const& line) {
    call made;
    made.what = line.what;
    made.process = line.process;
    made.token = line.token;
    made.request = digits_field(line, "request");
    made.record = digits_field(line, "record");
    made.attempt = line.attempt;
    made.lease = span(line, "lease");
    made.retention = span(line, "retention");
    made.remember = span(line, "remember");
    made.takes_over = number_field(line, "take_over", 1) != 0;
    made.takes_parked = number_field(line, "take_parked", 0) != 0;
    made.began = line.time;
    made.first_line = line.number;
    made.last_line = never;
    return made;
}

void keep_last(std::vector<call>& calls) {
    if (calls.size() <= most_lost) return;
    calls.erase(calls.begin(), calls.end() - static_cast<std::ptrdiff_t>(most_lost));
}

constexpr bits unknown_stage = 1U << 31U;

bool is_begin(entry const& line) { return line.how == "begun"; }

}  // namespace

void checker::add(entry const& line, place where) {
    ++found_.lines;
    now_ = std::max(now_, line.time);
    auto& by = number(line);
    if (line.what == subject::trace) {
        if (line.how == "begins") by.is_buffered = number_field(line, "buffered", 0) != 0;
        if (line.how == "ends") by.has_ended = true;
    }
    std::string const name = std::string(to_string(line.what)) + ' ' + std::string(line.how);
    ++found_.counts[name];
    if (line.token != 0) follow_request(line, by, where);
    if (line.is_call()) add_call(line, where);
}

/// A request that had begun before the trace did is followed from where it is seen first.
void checker::follow_request(entry const& line, process& by, place where) {
    if (line.what == subject::handler || line.what == subject::told) by.has_observer = true;
    auto const event = request_event_of(line.what, line.how);
    if (!event) return;
    bool const is_begin = *event == request_event::claim_begun;
    auto const [at, is_new] = requests_.try_emplace(line.token);
    auto& followed = at->second;
    followed.latest = line.time;
    bool const is_unknown = followed.stage == unknown_stage || (is_new && !is_begin && (by.has_gap || by.began_late));
    if (is_unknown || !by.has_observer) {
        auto const next =
            is_begin || !is_unknown ? next_stage(all_request_steps(), followed.stage, *event) : std::nullopt;
        followed.stage = next.value_or(unknown_stage);
        return;
    }
    auto const next = next_stage(all_request_steps(), followed.stage, *event);
    if (!next) {
        ++found_.violations;
        if (found_.first.size() < most_reported) {
            auto name = std::string(to_string(line.what)) + ' ' + std::string(line.how);
            found_.first.push_back({where, line.time, std::string(line.store), line.key, std::move(name),
                                    "of the request: " + std::string(stage_name(followed.stage)),
                                    std::string(rule_of(*event))});
        }
    }
    followed.stage = next.value_or(unknown_stage);
    if (followed.stage == stage::over) requests_.erase(at);
    if (requests_.size() >= look_at_requests_) forget_requests();
}

/// Of processes that were killed, and of those whose observer does not write.
void checker::forget_requests() {
    std::erase_if(requests_, [&](auto const& each) { return later(each.second.latest, 10 * longest_call) < now_; });
    look_at_requests_ = std::max<std::size_t>(2 * requests_.size(), 1U << 16U);
}

/// After a gap nothing is known of any record.
checker::process& checker::number(entry const& line) {
    auto const [place, is_new] = processes_.try_emplace(line.process);
    auto& by = place->second;
    if (is_new) ++found_.processes;
    if (is_new) by.began_late = line.number > 1;
    if (!is_new && line.number > by.last_number + 1) {
        found_.missing += line.number - by.last_number - 1;
        ++epoch_;
        by.has_gap = true;
        requests_.clear();
    }
    by.last_number = std::max(by.last_number, line.number);
    by.last_time = line.time;
    return by;
}

/// A store of one process has the same name in others.
std::uint64_t checker::store_number(entry const& line) {
    std::string name(line.store);
    if (name.starts_with("local.")) name += '@' + std::to_string(line.process);
    auto const [place, is_new] = stores_.try_emplace(std::move(name), store_names_.size());
    if (is_new) store_names_.emplace_back(line.store);
    return place->second;
}

void checker::add_call(entry const& line, place where) {
    record_key const of{store_number(line), line.key};
    auto const [place, is_new] = records_.try_emplace(of);
    auto& history = place->second;
    if (is_new) {
        ++found_.records;
        history.epoch = epoch_;
        history.possible.emplace_back();
        if (!given_.begins_empty || epoch_ > 0) history.possible.front().is = record::unknown_state;
    }
    if (is_begin(line)) {
        if (is_apart(history, line.time) || history.calls.size() >= most_calls) close(of, history);
        begin_call(history, line, where);
    } else {
        end_call(history, line, where);
    }
    if (is_new && records_.size() >= look_at_size_) forget_expired();
}

/// When the call has ended, or can be given up.
microseconds checker::last_time(call const& of) const {
    if (of.ended != never) return of.ended;
    auto const by = processes_.find(of.process);
    bool const has_ended = by != processes_.end() && by->second.has_ended;
    return has_ended ? by->second.last_time : later(of.began, longest_call);
}

/// Whether all calls so far had ended, or can be given up, when the next one begins.
bool checker::is_apart(record_history const& history, microseconds time) const {
    if (history.calls.empty()) return true;
    if (history.unfinished == 0) return later(history.latest, given_.skew) < time;
    return std::all_of(history.calls.begin(), history.calls.end(),
                       [&](call const& each) { return later(last_time(each), given_.skew) < time; });
}

void checker::begin_call(record_history& history, entry const& line, place where) {
    ++found_.calls;
    auto made = begun(line);
    made.file = where.file;
    made.line = where.line;
    history.calls.push_back(std::move(made));
    ++history.unfinished;
}

/// The beginning may be missing, where a trace begins in the middle, or the call was given up as lost.
void checker::end_call(record_history& history, entry const& line, place where) {
    auto const first = number_field(line, "call", 0);
    auto at = std::find_if(history.calls.begin(), history.calls.end(), [&](call const& each) {
        return each.first_line == first && each.process == line.process && each.ended == never;
    });
    if (at == history.calls.end()) {
        ++found_.undecided;
        history.possible.assign(1, record{});
        history.possible.front().is = record::unknown_state;
        return;
    }
    auto& done = *at;
    --history.unfinished;
    history.latest = std::max(history.latest, line.time);
    // There was no room for the call when it was sent for the last time; an earlier time it may have been executed.
    if (line.how == "error" || line.how == "full") {
        ++found_.unanswered;
        if (line.how == "full") done.repeated = later(line.time, given_.repeat);
        history.unanswered.push_back(done);
        history.calls.erase(at);
        return;
    }
    done.how = answer_of(line.what, line.how);
    done.ended = line.time;
    done.last_line = line.number;
    done.file = where.file;
    done.line = where.line;
    if (line.what != subject::settle) done.attempt = line.attempt;
    done.stored = digits_field(line, "record");
    done.has_steps = number_field(line, "steps", 0) > 0;
}

/// They may be executed whenever that will be.
void checker::give_up_unfinished(record_history& history) {
    auto const is_unfinished = [](call const& each) { return each.ended == never; };
    for (auto const& each : history.calls) {
        if (is_unfinished(each)) history.unanswered.push_back(each);
    }
    found_.unanswered += history.unfinished;
    history.calls.erase(std::remove_if(history.calls.begin(), history.calls.end(), is_unfinished), history.calls.end());
    history.unfinished = 0;
}

/// Judges the calls so far.
void checker::close(record_key const& of, record_history& history) {
    if (history.unfinished > 0) give_up_unfinished(history);
    bool const has_gap = history.epoch != epoch_;  // before these calls or among them
    if (has_gap) know_nothing(history);
    remember_repeatable(history);
    auto result = judge(history);
    if (result.after.empty()) {
        if (result.is_undecided || history.is_partial) {
            found_.undecided += history.calls.size();
        } else if (result.first) {
            report(of, *result.first);
        }
        result.after.emplace_back().is = record::unknown_state;
        result.is_undecided = false;
        history.earlier.clear();
        history.unanswered.clear();
    } else {
        keep_past(history);
    }
    history.is_partial = result.is_undecided;
    history.possible = std::move(result.after);
    history.calls.clear();
    history.latest = always;
    if (has_gap) know_nothing(history);
}

void checker::know_nothing(record_history& history) const {
    history.epoch = epoch_;
    history.earlier.clear();
    history.possible.assign(1, record{});
    history.possible.front().is = record::unknown_state;
}

tokens checker::shown_in(record_history const& history) {
    tokens found;
    auto const show_calls = [&](std::vector<call> const& calls) {
        for (auto const& each : calls) found.insert(each.token);
    };
    auto const show_records = [&](std::vector<record> const& records) {
        for (auto const& each : records) found.insert(each.token);
    };
    show_records(history.possible);
    show_calls(history.calls);
    show_calls(history.repeatable);
    for (auto const& part : history.earlier) {
        show_records(part.before);
        show_calls(part.calls);
    }
    return found;
}

explanation checker::judge(record_history const& history) const {
    auto lost = history.unanswered;
    if (lost.size() > few_alike) lost = without_alike(lost, shown_in(history), alike_needed(history.calls));
    lost.insert(lost.end(), history.repeatable.begin(), history.repeatable.end());
    return judge_with(history, lost);
}

/// Where the calls are not explained, the ones before are judged again with them: an unanswered call may have been
/// executed among those.
explanation checker::judge_with(record_history const& history, std::vector<call> const& lost) const {
    auto result = explain(history.possible, history.calls, lost, given_);
    if (!result.after.empty() || lost.empty()) return result;
    auto calls = history.calls;
    for (auto each = history.earlier.rbegin(); each != history.earlier.rend(); ++each) {
        calls.insert(calls.begin(), each->calls.begin(), each->calls.end());
        auto longer = explain(each->before, calls, lost, given_);
        if (!longer.after.empty()) return longer;
        result.is_undecided = result.is_undecided || longer.is_undecided;
    }
    return result;
}

void checker::keep_past(record_history& history) {
    constexpr std::size_t most_parts = 3;
    constexpr std::size_t most_in_part = 64;
    if (history.calls.empty()) return;
    if (history.earlier.empty() || history.earlier.back().calls.size() >= most_in_part) {
        history.earlier.push_back({history.possible, {}});
    }
    auto& part = history.earlier.back().calls;
    part.insert(part.end(), history.calls.begin(), history.calls.end());
    if (history.earlier.size() > most_parts) history.earlier.erase(history.earlier.begin());
}

/// Calls that the client of the store may have sent twice.
void checker::remember_repeatable(record_history& history) {
    auto& kept = history.repeatable;
    for (auto const& each : history.calls) {
        kept.push_back(each);
        kept.back().repeated = later(each.ended, given_.repeat);
    }
    keep_last(kept);
    auto& unanswered = history.unanswered;
    if (unanswered.size() > most_alike) unanswered = without_alike(unanswered, shown_in(history), most_alike);
    keep_last(unanswered);
}

void checker::report(record_key const& of, forbidden const& found) {
    ++found_.violations;
    if (found_.first.size() >= most_reported) return;
    found_.first.push_back({{found.at.file, found.at.line},
                            found.at.ended,
                            store_names_[of.store],
                            of.key,
                            describe(found.at),
                            describe(found.found),
                            found.rule});
}

void checker::forget_expired() {
    for (auto each = records_.begin(); each != records_.end();) {
        auto& history = each->second;
        auto const is_over = [&](record const& one) {
            auto const until = std::max({one.expiry, one.mark_end, later(one.expiry, one.remember)});
            return one.is == state::absent || later(until, 2 * given_.slack) < now_;
        };
        bool const is_quiet = later(history.latest, longest_call) < now_;
        if (is_quiet && history.unfinished == 0) close(each->first, history);
        bool const is_gone =
            is_quiet && history.calls.empty() && std::all_of(history.possible.begin(), history.possible.end(), is_over);
        each = is_gone ? records_.erase(each) : std::next(each);
    }
    look_at_size_ = std::max<std::size_t>(2 * records_.size(), 1U << 16U);
}

findings checker::finish() {
    for (auto& [of, history] : records_) close(of, history);
    std::sort(found_.first.begin(), found_.first.end(),
              [](violation const& left, violation const& right) { return left.time < right.time; });
    return std::move(found_);
}

}  // namespace check_trace
