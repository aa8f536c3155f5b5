// SPDX-License-Identifier: MIT
#include "check_trace/record.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace check_trace {

namespace {

constexpr std::array<std::string_view, 17> answers{
    "nothing known", "granted", "in_flight", "mismatch", "completed", "expired",   "parked", "remembered", "done", "ok",
    "held",          "lost",    "kept",      "refused",  "settled",   "forgotten", "nothing"};

/// The rows that can give an answer, so that nobody looks at all of them.
class index {
public:
    index() {
        for (auto const& row : all_steps()) rows_[static_cast<std::size_t>(row.answer)].push_back(&row);
    }
    [[nodiscard]] std::vector<step const*> const& rows(answer how) const {
        return rows_[static_cast<std::size_t>(how)];
    }

private:
    std::array<std::vector<step const*>, answers.size()> rows_;
};

index const& rows_by_answer() {
    static index const made;
    return made;
}

/// The operation as the table names it, and the other one that it may be where nobody knows whether there are steps.
struct operations {
    bits sure = 0;
    bits perhaps = 0;
};

operations with_steps(record const& found, bits without, bits with) {
    if (found.has_steps) return {with, 0};
    return {without, found.may_have_steps ? with : 0};
}

operations operation_of(call const& done, record const& found) {
    switch (done.what) {
    case subject::claim:
        if (done.takes_over && done.takes_parked) return {op::claim_ask, 0};
        return {done.takes_over ? op::claim_over : op::claim_hold, 0};
    case subject::complete: return {op::complete, 0};
    case subject::abandon: return with_steps(found, op::abandon, op::abandon_steps);
    case subject::renew: return {op::renew, 0};
    case subject::save_step: return {op::save_step, 0};
    case subject::park: return {op::park, 0};
    case subject::settle:
        if (found.attempt != record::unknown_attempt && found.attempt != static_cast<int>(done.attempt)) {
            return {op::settle_another, 0};
        }
        if (done.record != 0) return {op::settle_answer, found.attempt < 0 ? op::settle_another : 0U};
        return with_steps(found, op::settle_free, op::settle_steps);
    default: return {op::forget, 0};
    }
}

/// What is not known may be either.
bits token_relation(record const& found, call const& done) {
    bool const has_token = found.is != state::absent && found.is != state::marked;
    if (found.token == 0 && has_token) return caller::any;
    return found.token == done.token && done.token != 0 ? caller::own : caller::other;
}

bits request_relation(record const& found, call const& done) {
    if (found.request == 0 || done.request == 0) return request::any;
    return found.request == done.request ? request::same : request::other;
}

bits attempts_of(record const& found) {
    if (found.attempt == record::unknown_attempt) return attempts::any;
    return found.attempt <= 1 ? attempts::one : attempts::more;
}

bool may_have_passed(microseconds deadline, microseconds at, assumptions const& given) {
    return deadline == always || later(at, given.slack) >= deadline;
}

/// Who looks for marks; to all others a mark is nothing.
bool sees_marks(call const& done) {
    return (done.what == subject::claim && done.remember > 0) || done.what == subject::forget;
}

/// States in which a call may find a record.
class found_records {
public:
    found_records(record const& before, call const& done, assumptions const& given) {
        auto const latest = done.ended;
        if (before.is == record::unknown_state) {
            add_all(done);
            return;
        }
        if (before.is == state::absent) {
            add_absent(before.mark_end, done, latest, given);
            return;
        }
        add_with_time(before, latest, given);
        if (given.may_lose) add(record{});
        if (!may_have_passed(before.expiry, latest, given)) return;
        bool const leaves_mark = before.remember > 0;
        add_absent(leaves_mark ? later(before.expiry, before.remember) : always, done, latest, given);
        if (leaves_mark && before.expiry == always) add(record{});
    }

    [[nodiscard]] auto begin() const { return found_.begin(); }
    [[nodiscard]] auto end() const { return found_.begin() + static_cast<std::ptrdiff_t>(size_); }

private:
    void add(record const& made) {
        if (size_ < found_.size()) found_[size_++] = made;
    }

    /// \param mark_end `always` where there is no mark
    void add_absent(microseconds mark_end, call const& done, microseconds latest, assumptions const& given) {
        record nothing;
        nothing.mark_end = mark_end;
        bool const is_marked = mark_end != always && sees_marks(done);
        if (is_marked) {
            nothing.is = state::marked;
            add(nothing);
            if (!given.may_lose && !may_have_passed(mark_end, latest, given)) return;
            nothing.mark_end = always;
        }
        nothing.is = state::absent;
        add(nothing);
    }

    /// Nothing is known: whatever there may be.
    void add_all(call const& done) {
        record any;
        add(any);
        any.may_have_steps = true;
        for (bits const is : {state::live, state::over, state::done, state::parked, state::asked, state::free}) {
            any.is = is;
            any.attempt = is == state::free ? 0 : record::unknown_attempt;
            any.token = is == state::free ? record::nobody : 0;
            any.has_steps = is == state::free;
            add(any);
        }
        if (!sees_marks(done)) return;
        any = {};
        any.is = state::marked;
        add(any);
    }

    void add_with_time(record const& before, microseconds latest, assumptions const& given) {
        add(before);
        bool const has_lease = before.is == state::live || before.is == state::asked;
        if (!has_lease || !may_have_passed(before.lease_end, latest, given)) return;
        auto ended = before;
        ended.is = before.is == state::live ? state::over : state::parked;
        add(ended);
    }

    std::array<record, 12> found_;
    std::size_t size_ = 0;
};

int number_after(step const& row, record const& found) {
    bool const is_known = found.attempt != record::unknown_attempt;
    switch (row.number) {
    case number::one: return 1;
    case number::none: return 0;
    case number::plus: return is_known ? found.attempt + 1 : found.attempt;
    case number::minus: return is_known ? found.attempt - 1 : found.attempt;
    case number::same: break;
    }
    return found.attempt;
}

/// Whether the answer tells this attempt, and what it says where that was unknown.
bool agree_on_attempt(call const& done, record& made) {
    bool const tells = done.how == answer::granted || done.how == answer::expired ||
                       (done.how == answer::parked && done.what == subject::claim);
    if (!tells) return true;
    if (made.attempt == record::unknown_attempt) made.attempt = static_cast<int>(done.attempt);
    return made.attempt == static_cast<int>(done.attempt);
}

bool agree_on_stored(call const& done, record& made) {
    if (done.how != answer::completed || done.stored == 0) return true;
    if (made.stored == 0) made.stored = done.stored;
    return made.stored == done.stored;
}

void start_lease(record& made, call const& done, microseconds from) {
    made.lease_end = later(from, done.lease);
    made.expiry = later(made.lease_end, made.retention);
}

/// A takeover comes when the lease before it has ended, however early the call began.
void write_claim(record& made, record const& found, call const& done, assumptions const& given) {
    made.request = done.request;
    made.retention = done.retention;
    made.remember = done.remember;
    bool const takes_over = found.is == state::over && found.lease_end != always;
    start_lease(made, done, takes_over ? std::max(done.began, found.lease_end - given.slack) : done.began);
}

/// What is stored or parked lives for the retention.
void write_stored(record& made, call const& done) {
    if (done.request != 0) made.request = done.request;
    if (done.what != subject::settle) made.remember = done.remember;
    made.retention = done.retention;
    made.expiry = later(done.began, done.retention);
    made.lease_end = always;
    if (made.is != state::done) return;
    made.stored = done.record;
    made.has_steps = made.may_have_steps = false;
}

void write_holder(step const& row, call const& done, record& made) {
    if (row.holder == holder::caller) made.token = done.token;
    if (row.holder == holder::nobody) made.token = record::nobody;
}

void write_freed(record& made, call const& done) {
    made.lease_end = always;
    made.expiry = later(done.began, made.retention);
    made.has_steps = made.has_steps || made.is == state::free;
}

void write(step const& row, record const& found, call const& done, assumptions const& given, record& made) {
    if (row.next == state::stays) {
        if (made.is == state::marked) made.is = state::absent;  // with its mark
        return;
    }
    made.is = row.next;
    made.mark_end = always;
    write_holder(row, done, made);
    switch (row.next) {
    case state::absent: made = record{}; return;
    case state::done: return write_stored(made, done);
    case state::parked: return done.what == subject::park ? write_stored(made, done) : write_freed(made, done);
    case state::over:
    case state::free: return write_freed(made, done);
    default: break;
    }
    if (done.what == subject::renew) return start_lease(made, done, done.began);
    bool const is_new = row.holder == holder::caller;
    if (is_new) write_claim(made, found, done, given);
}

/// Of a claim that is granted: whether there are steps. Only a claim tells. Where it is executed once more, there may
/// be others: what it was answered then nobody was told.
bool agree_on_steps(call const& done, record& made) {
    if (done.how != answer::granted || done.repeated != never) return true;
    if (made.has_steps && !done.has_steps) return false;
    if (done.has_steps && !made.may_have_steps && !made.has_steps) return false;
    made.has_steps = done.has_steps;
    made.may_have_steps = false;
    return true;
}

void learn(record& made, bits relation, bits token_is, bits request_is, call const& done) {
    if (relation == caller::any && token_is == caller::own) made.token = done.token;
    if (made.request == 0 && request_is == request::same && made.is != state::absent) made.request = done.request;
}

/// The row, where it fits what was found.
void apply(step const& row, record const& found, operations const& asks, call const& done, assumptions const& given,
           std::vector<record>& after) {
    bool const is_sure = (row.operation & asks.sure) != 0;
    if (!is_sure && (row.operation & asks.perhaps) == 0) return;
    if ((row.state & found.is) == 0 || (row.attempts & attempts_of(found)) == 0) return;
    auto const token_is = token_relation(found, done);
    auto const request_is = request_relation(found, done);
    if ((row.token & token_is) == 0 || (row.request & request_is) == 0) return;
    auto made = found;
    learn(made, token_is, row.token, row.request, done);
    made.attempt = number_after(row, found);
    write(row, found, done, given, made);
    if (row.answer == answer::kept) made.has_steps = made.may_have_steps = true;
    bool const agrees = agree_on_attempt(done, made) && agree_on_stored(done, made) && agree_on_steps(done, made);
    if (!agrees && done.how != answer::none) return;
    if (std::find(after.begin(), after.end(), made) == after.end()) after.push_back(made);
}

void follow_found(record const& before, call const& done, answer how, assumptions const& given,
                  std::vector<record>& after) {
    for (auto const& found : found_records(before, done, given)) {
        auto const asks = operation_of(done, found);
        for (auto const* row : rows_by_answer().rows(how)) apply(*row, found, asks, done, given, after);
    }
}

std::string hex(std::uint64_t value) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
    return text.data();
}

}  // namespace

void follow(record const& before, call const& done, assumptions const& given, std::vector<record>& after) {
    follow_found(before, done, done.how, given, after);
}

void follow_any(record const& before, call const& begun, assumptions const& given, std::vector<record>& after) {
    for (std::size_t each = 1; each < answers.size(); ++each) {
        follow_found(before, begun, static_cast<answer>(each), given, after);
    }
    after.erase(std::remove(after.begin(), after.end(), before), after.end());
}

std::string rule_for(record const& before, call const& done, assumptions const& given) {
    std::string rules;
    for (auto const& found : found_records(before, done, given)) {
        auto const asks = operation_of(done, found);
        for (auto const& row : all_steps()) {
            situation const here{asks.sure | asks.perhaps, found.is, attempts_of(found), token_relation(found, done),
                                 request_relation(found, done)};
            if (!fits(row, here) || rules.find(row.words) != std::string::npos) continue;
            rules += (rules.empty() ? "" : "; or ") + std::string(row.words);
        }
    }
    return rules;
}

std::string describe(record const& of) {
    auto const holder = of.token == record::nobody ? " under no token"
                        : of.token == 0            ? " under an unknown token"
                                                   : " under " + hex(of.token);
    auto const attempt =
        of.attempt == record::unknown_attempt ? ", attempt unknown" : ", attempt " + std::to_string(of.attempt);
    switch (of.is) {
    case record::unknown_state: return "unknown";
    case state::absent: return of.mark_end == always ? "absent" : "absent, its key remembered";
    case state::live: return "in flight" + holder + attempt;
    case state::over: return "in flight" + holder + attempt + ", its lease ended";
    case state::done: return "completed" + holder + attempt;
    case state::free: return "free, with steps";
    case state::parked: return "parked" + holder + attempt;
    case state::asked: return "parked and asked about" + holder + attempt;
    default: return "absent, its key remembered";  // found by who looks for marks
    }
}

std::string describe(call const& of) {
    std::string text(to_string(of.what));
    if (of.token != 0) text += " by " + hex(of.token);
    text += ": " + std::string(to_string(of.how));
    if (of.attempt != 0) text += ", attempt " + std::to_string(of.attempt);
    return text;
}

std::string_view to_string(answer how) noexcept { return answers[static_cast<std::size_t>(how)]; }

answer answer_of(subject what, std::string_view word) {
    auto const found = std::find(answers.begin() + 1, answers.end(), word);
    if (found == answers.end()) {
        throw malformed("'" + std::string(word.substr(0, 40)) + "' is no answer to " + std::string(to_string(what)));
    }
    return static_cast<answer>(found - answers.begin());
}

}  // namespace check_trace
