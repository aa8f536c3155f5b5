// SPDX-License-Identifier: MIT
#include "simulation/postgres/machine.hpp"

#include "simulation/describe.hpp"

#include <idempo/postgres/statements/statements.hpp>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace idempo::simulation {

namespace {

using std::chrono::microseconds;
using kind = statement_kind;

/// A server with few slots.
constexpr std::size_t most_sessions = 40;

statement_book book_of(milliseconds lock_timeout) {
    postgres::statements const sql("\"public\".\"idempo_records\"", lock_timeout);
    return {
        {sql.claim.plain, kind::claim},
        {sql.claim.remembering, kind::claim_remembering},
        {sql.claim_without_takeover.plain, kind::claim_without_takeover},
        {sql.claim_without_takeover.remembering, kind::claim_without_takeover_remembering},
        {sql.claim_parked.plain, kind::claim_parked},
        {sql.claim_parked.remembering, kind::claim_parked_remembering},
        {sql.complete.many, kind::complete_many},
        {sql.complete.one, kind::complete_one},
        {sql.renew, kind::renew},
        {sql.save_step, kind::save_step},
        {sql.park, kind::park},
        {sql.settle, kind::settle},
        {sql.free, kind::free},
        {sql.abandon, kind::abandon},
        {sql.read, kind::read},
        {sql.fetch, kind::fetch},
        {sql.peek, kind::peek},
        {sql.forget, kind::forget},
    };
}

/// The sweeper has texts of its own.
kind sweepers_statement(std::string const& text) {
    if (text.find("pg_try_advisory_lock") != std::string::npos) return kind::lock_walk;
    if (text.find("SKIP LOCKED") == std::string::npos) throw std::logic_error("an unknown statement: " + text);
    bool const is_of_marks = text.find("DELETE FROM \"public\".\"idempo_records_marks\"") != std::string::npos;
    return is_of_marks ? kind::sweep_marks : kind::sweep_records;
}

postgres_answer tag(std::string words) {
    postgres_answer answer;
    answer.parts.push_back({{}, {}, false, std::move(words)});
    return answer;
}

postgres_answer error_answer(std::string const& sqlstate) {
    postgres_answer answer;
    answer.parts.push_back({sqlstate, {}, false, {}});
    return answer;
}

/// Of a transaction that begins so; zero where it says nothing.
milliseconds idle_limit_in(std::string const& begin) {
    static std::string const setting = "idle_in_transaction_session_timeout = ";
    auto const place = begin.find(setting);
    return milliseconds{place == std::string::npos ? 0 : std::stoll(begin.substr(place + setting.size()))};
}

milliseconds lock_timeout_of(scenario const& setup) { return std::max(setup.store_timeout / 5, milliseconds{1}); }

bool is_of_sweeper(kind of) { return of == kind::sweep_records || of == kind::sweep_marks || of == kind::lock_walk; }

}  // namespace

postgres_machine::postgres_machine(surroundings& world)
    : world_(world),
      book_(book_of(lock_timeout_of(world.setup))),
      process_lives_(world.setup.processes),
      keeps_journal_(world.setup.faults.losses > 0 || world.bug == mutant::postgres_acknowledged_before_disk) {}

time_point postgres_machine::now() const { return std::chrono::time_point_cast<microseconds>(clock_.at(world_now)); }

postgres_time postgres_machine::clock() const {
    return std::chrono::duration_cast<microseconds>(now().time_since_epoch()).count();
}

postgres_welcome postgres_machine::accept(std::size_t process) {
    if (!listens_) return {.refusal = "refused"};
    if (!is_running_) return {.is_silent = true};
    if (is_.is_starting_up) return {.refusal = "57P03"};
    if (is_.has_no_slots || sessions_.size() >= most_sessions) {
        world_.told.count("times that PostgreSQL had no slot");
        return {.refusal = "53300"};
    }
    auto made = std::make_shared<postgres_session>();
    made->number = next_process_++;
    made->process = process;
    made->process_life = process_lives_[process];
    made->link = std::make_shared<postgres_link>(world_, process);
    made->link->at_server = [this, of = std::weak_ptr(made)](postgres_message what) {
        auto const here = of.lock();
        if (!here || here->is_over) return;
        here->inbox.push_back(std::move(what));
        serve(here);
    };
    made->link->client_closed = [this, of = std::weak_ptr(made)] {
        auto const here = of.lock();
        if (!here || here->is_over) return;
        here->is_client_gone = true;
        serve(here);
    };
    sessions_.push_back(made);
    world_.told.count("PostgreSQL: connections");
    return {made->link, made->number, {}, false};
}

void postgres_machine::is_called(std::size_t process, store_call const& call) {
    if (std::holds_alternative<claim_request>(call)) pending_.emplace_back(process, call);
}

void postgres_machine::is_answered(std::size_t process, store_call const& call) {
    auto const is_it = [&](auto const& each) {
        return each.first == process && key_of(each.second) == key_of(call) && token_of(each.second) == token_of(call);
    };
    auto const found = std::find_if(pending_.begin(), pending_.end(), is_it);
    if (found != pending_.end()) pending_.erase(found);
}

void postgres_machine::is_dead(std::size_t process) {
    ++process_lives_[process];
    pending_.remove_if([&](auto const& each) { return each.first == process; });
}

void postgres_machine::serve(session_ptr const& of) {
    if (!is_running_) return world_.truth.disturb(of->process);
    while (!of->is_busy && !of->is_over && !of->inbox.empty()) {
        auto const message = std::move(of->inbox.front());
        of->inbox.pop_front();
        ++of->messages;
        if (message.is_script) {
            run_script(of, message.text);
        } else {
            begin_statement(of, message);
        }
    }
    if (of->is_client_gone && !of->is_busy) return end(of);
    end_if_idle(of);
}

/// Within a transaction, and no statement comes.
void postgres_machine::end_if_idle(session_ptr const& of) {
    if (!of->is_in_transaction || of->is_busy || of->idle_limit == milliseconds{0}) return;
    world_.plan.after(of->idle_limit, [this, of, messages = of->messages] {
        if (of->is_over || !of->is_in_transaction || of->is_busy || of->messages != messages) return;
        world_.told.tell("postgresql: process ", of->number, ": was idle in a transaction");
        world_.told.count("PostgreSQL: idle transactions ended");
        world_.truth.disturb(of->process);
        auto last = error_answer("25P03");
        last.is_whole = false;
        of->link->send_to_client(std::move(last));
        end(of);
    });
}

void postgres_machine::run_script(session_ptr const& of, std::string const& text) {
    if (text.starts_with("BEGIN")) {
        world_.told.count("PostgreSQL: transactions of several statements");
        of->is_in_transaction = true;
        of->idle_limit = idle_limit_in(text);
        of->has_failed = false;
        return reply(of, tag("BEGIN"));
    }
    if (text == "COMMIT" && !of->has_failed) {
        of->is_in_transaction = false;
        return begin_commit(of, tag("COMMIT"));
    }
    if (text == "ROLLBACK" || text == "COMMIT") {
        roll_back(*of);
        return reply(of, tag("ROLLBACK"));
    }
    if (text.find("pg_stat_activity") != std::string::npos) return reply(of, busy_among(text));
    if (!text.empty() && text.find("'jit'") == std::string::npos) throw std::logic_error("an unknown script: " + text);
    reply(of, tag(""));
}

/// Of the processes in the braces.
postgres_answer postgres_machine::busy_among(std::string const& text) const {
    auto const open = text.find('{') + 1;
    std::istringstream numbers(text.substr(open, text.find('}') - open));
    postgres_answer answer;
    answer.parts.push_back({{}, {}, true, {}});
    world_.told.count("PostgreSQL: questions for late processes");
    if (world_.bug == mutant::postgres_late_processes_are_forgotten) return answer;
    for (std::string number; std::getline(numbers, number, ',');) {
        auto const asked = std::stoi(number);
        auto const is_it = [&](session_ptr const& each) {
            return each->number == asked && (each->is_busy || each->is_in_transaction);
        };
        if (std::any_of(sessions_.begin(), sessions_.end(), is_it))
            answer.parts.back().rows.push_back({std::to_string(asked)});
    }
    return answer;
}

void postgres_machine::begin_statement(session_ptr const& of, postgres_message const& message) {
    auto const known = book_.find(message.text);
    auto const asked = known != book_.end() ? known->second : sweepers_statement(message.text);
    statement_run run(asked, message.parameters, world_.bug);
    of->is_sweeper = of->is_sweeper || is_of_sweeper(asked);
    if (!of->is_sweeper) look_at_late_processes(*of);
    auto const refusal = refusal_of(*of, run);
    if (!refusal.empty()) return fail(of, refusal);
    run.look(tables_, clock(), [&](std::string const& key) { return locks_.contains(key); });
    for (auto const& key : run.locked()) static_cast<void>(take_lock(*of, key));
    if (asked == kind::lock_walk) {
        auto const walks = [&](session_ptr const& each) { return each != of && each->is_sweeper; };
        if (std::any_of(sessions_.begin(), sessions_.end(), walks)) run.refuse_walk();
    }
    remember(witness_look(run, of->process, pending_, std::exchange(of->not_stored, {})));
    world_.told.count(is_claim(asked)        ? "PostgreSQL: claims"
                      : is_complete(asked)   ? "PostgreSQL: Completes"
                      : is_of_sweeper(asked) ? "PostgreSQL: statements of the sweeper"
                                             : "PostgreSQL: other statements");
    if (run.rows().size() > 1) world_.told.count("PostgreSQL: statements of several rows");
    of->is_busy = true;
    of->next_row = 0;
    of->has_begun_row = false;
    of->run = std::move(run);
    // Others may be at work between the look and the first row.
    auto const pause = world_.random.in_100(50) ? duration(0) : duration(microseconds(world_.random.between(1, 2000)));
    world_.plan.after(pause, [this, of, epoch = of->epoch] {
        if (of->epoch == epoch && !of->is_over) go_on(of);
    });
}

std::string postgres_machine::refusal_of(postgres_session const& of, statement_run const& run) {
    if (of.has_failed) return "25P02";
    if (run.is_read()) return {};
    if (is_.is_read_only) return "25006";
    if (is_.is_full) return "53100";
    if (!world_.random.in_1000(world_.setup.faults.duplicates)) return {};
    return world_.random.one_of<std::string>({"40P01", "40P01", "57014", "53200", "XX000"});
}

void postgres_machine::go_on(session_ptr const& of) {
    if (!is_running_ || !of->run) return;
    auto& run = *of->run;
    for (; of->next_row < run.rows().size(); ++of->next_row) {
        auto const& row = run.rows()[of->next_row];
        if (!row.is_wanted) continue;
        if (!std::exchange(of->has_begun_row, true)) {
            run.begin_row(of->next_row, clock());
            if (stops(of)) return;
        }
        if (!take_lock(*of, row.asked.key)) return wait_for_lock(of, row.asked.key);
        if (!is_serialized(*of, row)) return fail(of, "40001");
        run.write_row(of->next_row, tables_, clock());
        of->has_begun_row = false;
        if (row.written) continue;
        remember(witness_refusal(run, row));
        if (is_complete(run.kind())) of->not_stored.push_back(row.asked);
    }
    auto answer = answer_of(run);
    of->done.push_back(std::move(run));
    of->run.reset();
    if (!of->is_in_transaction) return begin_commit(of, std::move(answer));
    of->is_busy = false;
    reply(of, std::move(answer));
    serve(of);
}

/// A process that has read the clock, and has locked nothing yet, may stop there for a while: it is scheduled late, or
/// its machine is suspended.
bool postgres_machine::stops(session_ptr const& of) {
    if (world_.setup.faults.cuts == 0 || !world_.random.in_1000(50)) return false;
    world_.told.count("PostgreSQL: statements that stop within");
    world_.truth.disturb(of->process);
    world_.plan.after(world_.random.between(milliseconds{1}, milliseconds{3000}), [this, of, epoch = of->epoch] {
        if (of->epoch == epoch && !of->is_over) go_on(of);
    });
    return true;
}

/// In a world whose database has a stricter isolation by default, a row must be as it was at the look.
bool postgres_machine::is_serialized(postgres_session const& of, statement_run::row_run const& row) const {
    if (!world_.setup.postgres.is_serializable || of.is_in_transaction) return true;
    auto const* const record = tables_.find(row.asked.key);
    if (record == nullptr || !record->is_live(row.looked_at)) return !row.found;
    return row.found && row.found->token == record->token && row.found->attempt == record->attempt &&
           row.found->lease_until == record->lease_until && row.found->response == record->response &&
           row.found->steps == record->steps;
}

bool postgres_machine::take_lock(postgres_session& of, std::string const& key) {
    if (world_.bug == mutant::postgres_rows_are_not_locked) return true;
    auto const [place, is_free] = locks_.try_emplace(key, &of);
    if (!is_free && place->second != &of) return false;
    of.locks.insert(key);
    of.waits_for.clear();
    return true;
}

void postgres_machine::wait_for_lock(session_ptr const& of, std::string const& key) {
    world_.truth.disturb(of->process);
    if (of->waits_for == key) return;
    world_.told.count("PostgreSQL: waits for a row");
    of->waits_for = key;
    world_.plan.after(lock_timeout_of(world_.setup), [this, of, key, epoch = of->epoch] {
        if (of->epoch == epoch && !of->is_over && of->waits_for == key) fail(of, "55P03");
    });
}

void postgres_machine::release_locks(postgres_session& of) {
    auto const released = std::exchange(of.locks, {});
    for (auto const& key : released) locks_.erase(key);
    for (auto const& each : sessions_) {
        if (!released.contains(each->waits_for)) continue;
        world_.plan.after(duration(0), [this, of = each, epoch = each->epoch] {
            if (of->epoch == epoch && !of->is_over && !of->waits_for.empty()) go_on(of);
        });
    }
}

void postgres_machine::begin_commit(session_ptr const& of, postgres_answer answer) {
    // The sweeper does not wait for the disk.
    bool const writes = std::any_of(of->done.begin(), of->done.end(),
                                    [](auto const& each) { return !each.is_read() && !is_of_sweeper(each.kind()); });
    of->is_busy = of->is_committing = true;
    of->is_flushed = false;
    of->reply = std::move(answer);
    if (!writes) {
        of->is_flushed = true;
        return try_to_commit(of);
    }
    if (world_.bug == mutant::postgres_answered_before_commit) of->link->send_to_client(of->reply);
    bool const is_slow = world_.setup.faults.cuts > 0 && world_.random.in_100(2);
    if (is_slow) world_.truth.disturb(of->process);
    auto const longest = is_slow ? milliseconds{400} : world_.setup.faults.longest_delay;
    world_.plan.after(world_.random.between(milliseconds{0}, longest), [this, of, epoch = of->epoch] {
        if (of->epoch != epoch || of->is_over) return;
        of->is_flushed = true;
        try_to_commit(of);
    });
}

void postgres_machine::try_to_commit(session_ptr const& of) {
    if (!is_running_ || is_.lacks_standby) {
        if (is_.lacks_standby) world_.told.count("commits that waited for a standby");
        return world_.truth.disturb(of->process);
    }
    bool const is_told =
        world_.bug == mutant::postgres_answered_before_commit &&
        std::any_of(of->done.begin(), of->done.end(), [](auto const& each) { return !each.is_read(); });
    commit(*of);
    if (is_told) return serve(of);
    reply(of, std::move(of->reply));
    serve(of);
}

void postgres_machine::commit(postgres_session& of) {
    witnessed_calls seen;
    for (auto const& each : of.done) {
        each.apply_to(tables_);
        auto const calls = witness_commit(each);
        seen.insert(seen.end(), calls.begin(), calls.end());
    }
    of.done.clear();
    of.is_busy = of.is_committing = of.is_flushed = false;
    remember(std::move(seen));
    release_locks(of);
}

void postgres_machine::reply(session_ptr const& of, postgres_answer answer) {
    of->link->send_to_client(std::move(answer));
}

void postgres_machine::fail(session_ptr const& of, std::string const& sqlstate) {
    world_.told.tell("postgresql: process ", of->number, ": error ", sqlstate);
    world_.told.count("errors of PostgreSQL");
    world_.told.count("PostgreSQL: error " + sqlstate);
    world_.truth.disturb(of->process);
    bool const is_in_transaction = of->is_in_transaction;
    roll_back(*of);
    of->is_in_transaction = of->has_failed = is_in_transaction;
    reply(of, error_answer(sqlstate));
    serve(of);
}

void postgres_machine::roll_back(postgres_session& of) {
    ++of.epoch;
    of.run.reset();
    of.done.clear();
    of.not_stored.clear();
    of.waits_for.clear();
    of.is_in_transaction = of.has_failed = of.is_busy = of.is_committing = of.is_flushed = false;
    release_locks(of);
}

postgres_answer postgres_machine::answer_of(statement_run const& run) {
    postgres_answer answer;
    answer.is_binary = true;
    answer.parts.push_back({{}, run.answer(tables_), true, {}});
    auto& rows = answer.parts.back().rows;
    if (!is_claim(run.kind())) return answer;
    if (world_.bug == mutant::postgres_answers_are_swapped && rows.size() > 1) std::swap(rows[0][0], rows[1][0]);
    if (world_.bug == mutant::postgres_answer_of_another_session) {
        if (last_answer_) std::swap(*last_answer_, answer);
        if (!last_answer_) last_answer_ = answer;
    }
    return answer;
}

/// A worker leaves one process behind, and asks for it before it sends the next statement. A statement that comes late
/// through the network may find another one in its place.
void postgres_machine::look_at_late_processes(postgres_session const& of) {
    auto const is_late = [&](session_ptr const& each) {
        return each->process == of.process && each->process_life == of.process_life && each->is_busy &&
               each->is_client_gone && !each->is_sweeper;
    };
    auto const late = std::count_if(sessions_.begin(), sessions_.end(), is_late);
    if (late > 0) world_.told.count("PostgreSQL: statements beside a late process");
    if (late <= 3 * static_cast<std::ptrdiff_t>(world_.setup.postgres.workers)) return;
    world_.told.violated("a worker leaves no more processes behind", "process ", of.process, " has ", late,
                         " that it does not wait for, and goes on");
}

void postgres_machine::end(session_ptr const& of) {
    if (std::exchange(of->is_over, true)) return;
    roll_back(*of);
    of->link->close_at_server();
    std::erase(sessions_, of);
}

void postgres_machine::remember(witnessed_calls seen) {
    if (seen.empty()) return;
    for (auto const& each : seen) {
        world_.told.tell("postgresql: ", describe(each.call, world_.told), " -> ", describe(each.answer));
        time_point const when{duration(microseconds(each.when))};
        world_.truth.applied(each.call, each.answer, world_.truth.tick(), when);
    }
    if (keeps_journal_) journal_.push_back({std::move(seen), tables_});
}

std::optional<store_answer> postgres_machine::ask(store_call const& call) {
    if (!is_running_ || !listens_ || is_.is_read_only) return std::nullopt;
    auto const& key = key_of(call);
    if (locks_.contains(std::string(key.view()))) return std::nullopt;
    if (auto const* const wanted = std::get_if<settle_request>(&call)) return settle(*wanted);
    store_answer answer;
    answer.result = std::optional<record_info>();
    auto const* const record = tables_.find(std::string(key.view()));
    if (record == nullptr || !record->is_live(clock())) return answer;
    record_info info;
    info.attempt = static_cast<unsigned>(record->attempt);
    if (record->response) info.state = record_state::completed;
    if (record->parked && record->is_over(clock())) info.state = record_state::parked;
    answer.result = std::optional(info);
    return answer;
}

std::optional<store_answer> postgres_machine::settle(settle_request const& call) {
    std::vector<std::string> parameters{std::string(call.key.view()), write_int8(call.attempt),
                                        write_int8(call.retention.count())};
    if (call.record) parameters.emplace_back(call.record->view());
    statement_run run(call.record ? kind::settle : kind::free, parameters, world_.bug);
    run.look(tables_, clock(), [](std::string const&) { return false; });
    auto seen = witness_look(run, 0, {}, {});
    if (run.rows().front().is_wanted) {
        run.begin_row(0, clock());
        run.write_row(0, tables_, clock());
    }
    run.apply_to(tables_);
    auto const written = witness_commit(run);
    seen.insert(seen.end(), written.begin(), written.end());
    if (seen.empty()) return std::nullopt;
    auto answer = seen.back().answer;
    remember(std::move(seen));
    return answer;
}

/// Those whose commit was under way may find that it was made.
void postgres_machine::end_sessions(std::string const& sqlstate) {
    for (auto const& each : std::exchange(sessions_, {})) {
        if (each->is_committing && world_.random.in_100(50)) {
            world_.told.count("commits in doubt");
            commit(*each);
        }
        each->is_over = true;
        ++each->epoch;
        world_.truth.disturb(each->process);
        if (!sqlstate.empty()) {
            auto last = error_answer(sqlstate);
            last.is_whole = false;
            each->link->send_to_client(std::move(last));
        }
        if (world_.random.in_100(70)) {
            each->link->close_at_server();
        } else {
            each->link->cut();
        }
    }
    locks_.clear();
}

void postgres_machine::stop_listening(std::string const& sqlstate) {
    end_sessions(sqlstate);
    is_running_ = listens_ = false;
    was_restarted_ = true;
}

void postgres_machine::go_down() {
    world_.truth.disturb_all();
    switch (world_.random.between(0, world_.setup.postgres.is_synchronous ? 7 : 5)) {
    case 0:
        world_.told.tell("postgresql: stops");
        world_.told.count("stops of PostgreSQL");
        is_running_ = false;
        return;
    case 1:
        world_.told.tell("postgresql: dies");
        world_.told.count("deaths of PostgreSQL");
        stop_listening({});
        if (world_.bug == mutant::postgres_acknowledged_before_disk)
            restore(journal_.size() - std::min<std::size_t>(journal_.size(), 5));
        return;
    case 2:
        world_.told.tell("postgresql: is shut down");
        world_.told.count("shutdowns of PostgreSQL");
        return stop_listening("57P01");
    case 3:
        world_.told.tell("postgresql: its disk is full");
        world_.told.count("times that PostgreSQL was full");
        is_.is_full = true;
        return;
    case 4:
        world_.told.tell("postgresql: is a standby");
        world_.told.count("times that PostgreSQL was a standby");
        is_.is_read_only = true;
        return;
    case 5:
        world_.told.tell("postgresql: has no slots left");
        is_.has_no_slots = true;
        return end_sessions("57P01");
    default:
        world_.told.tell("postgresql: its standby is gone");
        world_.told.count("times that PostgreSQL lacked its standby");
        is_.lacks_standby = true;
        return;
    }
}

void postgres_machine::come_back() {
    world_.told.tell("postgresql: is well again");
    is_ = {};
    is_running_ = listens_ = true;
    if (std::exchange(was_restarted_, false)) {
        is_.is_starting_up = true;
        world_.plan.after(world_.random.between(milliseconds{0}, milliseconds{300}),
                          [this] { is_.is_starting_up = false; });
    }
    for (auto const& each : std::vector(sessions_)) {
        if (each->is_over) continue;
        if (each->is_committing && each->is_flushed) {
            try_to_commit(each);
        } else if (each->is_busy && !each->is_committing) {
            go_on(each);
        } else {
            serve(each);
        }
    }
}

void postgres_machine::restore(std::size_t kept) {
    tables_ = kept == 0 ? postgres_tables() : journal_[kept - 1].data;
    journal_.erase(journal_.begin() + static_cast<std::ptrdiff_t>(kept), journal_.end());
}

/// A synchronous standby has all that anybody was told of.
void postgres_machine::lose(std::size_t operations) {
    bool const is_synchronous =
        world_.setup.postgres.is_synchronous && world_.bug != mutant::postgres_commit_does_not_wait;
    end_sessions({});
    auto const kept = is_synchronous ? journal_.size() : journal_.size() - std::min(operations, journal_.size());
    std::vector<store_call> calls;
    for (auto place = kept; place < journal_.size(); ++place) {
        for (auto const& each : journal_[place].seen) calls.push_back(each.call);
    }
    world_.told.tell("postgresql: a standby takes its place, without the last ", calls.size(), " calls");
    world_.told.count("failovers of PostgreSQL");
    if (!calls.empty()) world_.told.count("store losses");
    restore(kept);
    if (calls.empty()) return;
    std::vector<store_event> events;
    for (auto const& past : journal_) {
        for (auto const& each : past.seen)
            events.push_back({each.call, each.answer, time_point(duration(microseconds(each.when)))});
    }
    world_.truth.failed_over(calls, events);
}

}  // namespace idempo::simulation
