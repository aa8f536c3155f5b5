// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/pipeline.hpp>

#include <idempo/redis/connection/own_command.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace idempo::redis {

namespace {

/// As large as an operation of a holder without a record, which is admitted however many bytes are pending.
constexpr std::size_t small_bytes = 1024;

/// Large records that are under way at a time: 32 ms at 1 Gbit/s, and more than 1 Gbit/s where a round trip takes that.
constexpr std::size_t max_moving_bytes = std::size_t{4} * 1024 * 1024;

/// What waits for its turn among large records that keep coming is given up after so many timeouts.
constexpr int max_timeouts = 10;

template <class Lines>
bool has_own(Lines const& line, operation const& submitted) {
    return std::any_of(line.rbegin(), line.rend(), [&](auto const& each) {
        auto const* const owner = each->owner();
        return each->key() == submitted.key() && (owner == nullptr || *owner == *submitted.owner());
    });
}

}  // namespace

bool pending_load::admit(operation const& submitted, redis_options const& limits) {
    auto const weight = submitted.weight();
    bool const is_holders = submitted.kind() == operation_kind::holder;
    auto const all_operations = operations.fetch_add(1) + 1;
    auto const all_bytes = bytes.fetch_add(weight) + weight;
    bool const has_place = all_operations <= limits.max_pending * (is_holders ? 2 : 1);
    bool const has_room =
        all_bytes <= limits.max_pending_bytes || all_bytes == weight || (is_holders && weight <= small_bytes);
    if (has_place && has_room) return true;
    --operations;
    bytes -= weight;
    return false;
}

void pipeline::submit(std::unique_ptr<operation> submitted, time_point now) {
    if (submitted->deadline == time_point{}) {
        submitted->deadline = now + timeout_;
        submitted->last_deadline = now + timeout_ * max_timeouts;
    }
    submitted->stage = operation::progress::unsent;
    await(*submitted);
    if (submitted->kind() == operation_kind::unordered) return ready_.push_back(std::move(submitted));
    auto& state = keys_[submitted->key()];
    if (!submitted->wanted_record().empty()) {
        ++state.unsettled;
        return fetch(std::move(submitted));
    }
    auto& line = line_of(*submitted, state);
    ++state.unsettled;
    ++state.unsent;
    insert_by_age(std::move(submitted), line);
}

// The youngest, except for one that another server has sent here.
void pipeline::await(operation& submitted) {
    auto place = unsettled_.end();
    while (place != unsettled_.begin() && std::prev(place)->deadline > submitted.deadline) --place;
    unsettled_.insert(place, submitted);
}

// Not before what its own caller has submitted.
pipeline::queue& pipeline::line_of(operation const& submitted, key_state const& state) {
    if (submitted.kind() != operation_kind::holder) return ready_;
    if (state.unsent > 0 && has_own(large_, submitted)) return large_;
    if (!may_overtake(submitted, state)) return ready_;
    return submitted.record_bytes() > 0 ? large_ : holders_;
}

// Its own claim must not be overtaken, nor, without need, anybody's.
bool pipeline::may_overtake(operation const& submitted, key_state const& state) const {
    if (state.unsent == 0) return true;
    return is_congested_ && !has_own(ready_, submitted);
}

void pipeline::insert_by_age(std::unique_ptr<operation> submitted, queue& line) {
    auto place = line.end();
    while (place != line.begin() && (*std::prev(place))->deadline > submitted->deadline) --place;
    line.insert(place, std::move(submitted));
}

std::unique_ptr<operation> pipeline::take_from(queue& line, time_point now) {
    while (!line.empty()) {
        auto next = std::move(line.front());
        line.pop_front();
        if (!next->is_settled() && is_too_late(*next, now)) settle_with(*next, error::store_timed_out);
        if (!next->is_settled()) return next;
        drop(std::move(next));
    }
    return nullptr;
}

// One slow answer must not stop everything that comes after it.
bool pipeline::is_too_late(operation const& unsent, time_point now) const {
    if (!quickest_ || unsent.kind() == operation_kind::holder) return false;
    return unsent.deadline - now < std::min<time_point::duration>(*quickest_, timeout_ / 2);
}

std::unique_ptr<operation> pipeline::take_next(time_point now) {
    for (auto* const line : {&unknown_, &second_steps_, &holders_}) {
        if (auto next = take_from(*line, now)) return next;
    }
    if (auto next = take_large()) return next;
    return take_from(ready_, now);
}

bool pipeline::has_sendable_record() const noexcept {
    return !large_.empty() &&
           (moving_bytes_ == 0 || moving_bytes_ + large_.front()->record_bytes() <= max_moving_bytes);
}

std::unique_ptr<operation> pipeline::take_large() {
    while (has_sendable_record()) {
        auto next = std::move(large_.front());
        large_.pop_front();
        if (!next->is_settled() || is_shared(*next)) return next;
        auto others = end_fetch(*next);
        drop_all(others);
        drop(std::move(next));
    }
    return nullptr;
}

void pipeline::fetch(std::unique_ptr<operation> wanting) {
    wanting->stage = operation::progress::fetching;
    auto& shared = fetches_[wanting->key()];
    if (shared.asks == nullptr) {
        shared.asks = wanting.get();
    } else if (shared.asks->wanted_record() == wanting->wanted_record()) {
        return shared.others.push_back(std::move(wanting));
    }
    large_.push_back(std::move(wanting));
}

// Whether anybody waits for its answer, although its own caller does not.
bool pipeline::is_shared(operation const& asks) const {
    auto const found = fetches_.find(asks.key());
    return found != fetches_.end() && found->second.asks == &asks &&
           std::any_of(found->second.others.begin(), found->second.others.end(),
                       [](auto const& other) { return !other->is_settled(); });
}

pipeline::sharers pipeline::end_fetch(operation const& asked) {
    auto const found = fetches_.find(asked.key());
    if (found == fetches_.end() || found->second.asks != &asked) return {};
    auto others = std::move(found->second.others);
    fetches_.erase(found);
    return others;
}

void pipeline::fetch_again(sharers others) {
    for (auto& each : others) each->is_settled() ? drop(std::move(each)) : fetch(std::move(each));
}

// What follows must not overtake those whose script is unknown.
bool pipeline::waits_for_scripts() const noexcept { return !unknown_.empty() && !has_sent_scripts_ && !sent_.empty(); }

bool pipeline::has_sendable() const noexcept {
    if (waits_for_scripts()) return false;
    return !unknown_.empty() || uncovered_ > 0 || !second_steps_.empty() || !holders_.empty() ||
           has_sendable_record() || !ready_.empty();
}

void pipeline::send(std::string& to, server_abilities abilities, time_point now, std::size_t max_bytes) {
    if (waits_for_scripts()) return;
    while (to.size() < max_bytes) {
        auto next = take_next(now);
        if (!next) break;
        send_one(std::move(next), to, abilities, now);
    }
    is_congested_ = !holders_.empty() || has_sendable_record() || !ready_.empty();
    if (uncovered_ == 0) return;
    append_replica_wait(to, replicas_);
    send_own(replica_reply{std::exchange(uncovered_, 0)}, now);
}

void pipeline::send_one(std::unique_ptr<operation> next, std::string& to, server_abilities abilities, time_point now) {
    auto& sent = *next;
    bool const is_ordered = sent.kind() != operation_kind::unordered;
    auto* const state = is_ordered ? &keys_.at(sent.key()) : nullptr;
    if (state != nullptr) {
        if (state->first_step != nullptr)
            send_second_step(*std::exchange(state->first_step, nullptr), to, abilities, now);
        if (sent.stage == operation::progress::unsent) --state->unsent;
        if (state->unsettled > 1) abilities.set_nx_get = false;
    }
    if (sent.asks) {
        append_asking(to);
        send_own(asking_reply{}, now);
    }
    abilities.has_scripts = has_sent_scripts_;
    sent.append_command(to, abilities);
    if (std::exchange(sent.brings_scripts, false)) has_sent_scripts_ = true;
    bool const is_first = state != nullptr && sent.is_in_first_step();
    if (is_first) {
        sent.stage = operation::progress::first_step;
    } else if (sent.stage != operation::progress::fetching) {
        sent.stage = operation::progress::sent;
    }
    auto const record_bytes = sent.record_bytes();
    push(std::move(next), now, record_bytes > 0 ? std::max(sent.deadline, now + timeout_) : sent.deadline,
         record_bytes);
    if (is_first) state->first_step = &sent_.back();
}

void pipeline::send_second_step(command& first, std::string& to, server_abilities abilities, time_point now) {
    auto claim = std::move(std::get<std::unique_ptr<operation>>(first.expects));
    first.expects = superseded_reply{};
    ++load_.operations;
    auto& sent = *claim;
    sent.skip_to_second_step();
    sent.stage = operation::progress::sent;
    if (sent.asks) {
        append_asking(to);
        send_own(asking_reply{}, now);
    }
    sent.append_command(to, abilities);
    push(std::move(claim), now, sent.deadline);
}

void pipeline::push(expected_reply expects, time_point now, time_point deadline, std::size_t record_bytes) {
    sent_.push_back({std::move(expects), now, deadline, record_bytes});
    moving_bytes_ += record_bytes;
}

void pipeline::send_own(expected_reply own, time_point now) {
    ++load_.operations;
    push(std::move(own), now, now + timeout_);
}

bool pipeline::receive(reply_view answer, time_point now) {
    if (sent_.empty()) return false;  // an answer to nothing
    auto asked = std::move(sent_.front());
    if (auto* const of = std::get_if<std::unique_ptr<operation>>(&asked.expects);
        of != nullptr && !(*of)->is_settled() && (*of)->stage == operation::progress::first_step) {
        keys_.at((*of)->key()).first_step = nullptr;
    }
    sent_.pop_front();
    if (asked.record_bytes > 0) {
        moving_bytes_ -= asked.record_bytes;
        moved_at_ = now;
    }
    quickest_ = std::min(now - asked.sent_at, quickest_.value_or(time_point::duration::max()));
    if (answer.is_error() && answer.text().starts_with("CLUSTERDOWN")) is_cluster_down_ = true;
    return std::visit([&](auto& whose) { return receive_for(std::move(whose), answer); }, asked.expects);
}

bool pipeline::receive_for(std::unique_ptr<operation> asked, reply_view answer) {
    auto others = end_fetch(*asked);
    bool const is_wanted = !asked->is_settled() || !others.empty();
    if (auto const where = is_wanted && answer.is_error() ? read_redirection(answer.text()) : std::nullopt) {
        others.insert(others.begin(), std::move(asked));
        for (auto& each : others) each->is_settled() ? drop(std::move(each)) : send_away(std::move(each), *where);
        return true;
    }
    // Also where nobody waits: a reply out of step means that all that follow are.
    auto const outcome = asked->read(answer);
    for (auto& each : others) {
        auto const shared = each->share(*asked) ? reading::answered : each->read(answer);
        conclude(std::move(each), shared);
    }
    conclude(std::move(asked), outcome);
    return outcome != reading::wrong_connection;
}

void pipeline::conclude(std::unique_ptr<operation> answered, reading outcome) {
    if (answered->is_settled()) return drop(std::move(answered));
    switch (outcome) {
    case reading::ask_again:
        answered->stage = operation::progress::sent;
        second_steps_.push_back(std::move(answered));
        return;
    case reading::fetch: fetch(std::move(answered)); return;
    case reading::script_unknown:
        has_sent_scripts_ = false;
        answered->brings_scripts = true;
        unknown_.push_back(std::move(answered));
        return;
    case reading::written:
        if (!waits_for_replicas()) break;
        written_.push_back(std::move(answered));
        ++uncovered_;
        return;
    case reading::wrong_connection: settle_with(*answered, error::store_unavailable); return drop(std::move(answered));
    case reading::answered: break;
    }
    settle(*answered);
    drop(std::move(answered));
}

bool pipeline::receive_for(asking_reply, reply_view answer) {
    --load_.operations;
    return read_asking(answer);
}

bool pipeline::receive_for(replica_reply asked, reply_view answer) {
    --load_.operations;
    auto const is_replicated = read_replica_wait(answer, replicas_);
    settle_written(asked.covered, is_replicated.value_or(false));
    return is_replicated.has_value();
}

bool pipeline::receive_for(superseded_reply, reply_view answer) {
    --load_.operations;
    return read_superseded(answer);
}

void pipeline::send_away(std::unique_ptr<operation> redirected, redirection where) {
    redirected->unlink();
    leave_key(*redirected);
    release(*redirected);
    redirected_.push_back({std::move(redirected), std::move(where)});
}

std::vector<redirected_operation> pipeline::take_redirected() { return std::exchange(redirected_, {}); }

std::vector<std::unique_ptr<operation>> pipeline::take_unsent() {
    std::vector<std::unique_ptr<operation>> unsent;
    for (std::size_t i = 0; i < large_.size(); ++i) {
        for (auto& each : end_fetch(*large_[i])) large_.push_back(std::move(each));
    }
    for (auto* const line : {&unknown_, &second_steps_, &holders_, &large_, &ready_}) {
        queue kept;
        for (auto& each : std::exchange(*line, {})) {
            if (each->is_settled()) {
                drop(std::move(each));
                continue;
            }
            auto const state = keys_.find(each->key());
            bool const is_behind = state != keys_.end() && each->kind() != operation_kind::unordered &&
                                   each->stage == operation::progress::unsent &&
                                   state->second.unsettled > state->second.unsent;
            if (is_behind) {
                kept.push_back(std::move(each));
                continue;
            }
            each->unlink();
            leave_key(*each);
            release(*each);
            unsent.push_back(std::move(each));
        }
        *line = std::move(kept);
    }
    return unsent;
}

void pipeline::settle_written(std::size_t count, bool is_replicated) {
    for (; count > 0; --count) {
        auto written = std::move(written_.front());
        written_.pop_front();
        if (!written->is_settled()) is_replicated ? settle(*written) : settle_with(*written, error::store_unavailable);
        drop(std::move(written));
    }
}

bool pipeline::expire(time_point now) {
    bool expired = false;
    while (!unsettled_.empty() && unsettled_.front().deadline <= now) {
        auto& oldest = unsettled_.front();
        if (auto const later = extended(oldest); later > now) {
            oldest.unlink();
            oldest.deadline = later;
            await(oldest);
            continue;
        }
        settle_with(oldest, error::store_timed_out);
        expired = true;
    }
    return expired;
}

// The others' records are what it waits for: as long as they come, the server and the network do what they can.
time_point pipeline::extended(operation const& waiting) const {
    if (waiting.record_bytes() == 0) return waiting.deadline;
    return std::min(moved_at_ + timeout_, waiting.last_deadline);
}

bool pipeline::is_overdue(time_point now) const { return !sent_.empty() && sent_.front().deadline + timeout_ <= now; }

std::optional<time_point> pipeline::next_deadline() const {
    std::optional<time_point> next;
    if (!unsettled_.empty()) next = unsettled_.front().deadline;
    if (!sent_.empty()) {
        auto const overdue = sent_.front().deadline + timeout_;
        next = next ? std::min(*next, overdue) : overdue;
    }
    return next;
}

void pipeline::disconnect() {
    uncovered_ = 0;
    moving_bytes_ = 0;
    is_congested_ = false;
    quickest_.reset();
    has_sent_scripts_ = false;
    settle_written(written_.size(), false);
    for (auto lost = std::exchange(sent_, {}); auto& each : lost) {
        auto* const of = std::get_if<std::unique_ptr<operation>>(&each.expects);
        if (of == nullptr) {
            --load_.operations;
            continue;
        }
        fetch_again(end_fetch(**of));
        if (!(*of)->is_settled()) settle_with(**of, error::store_unavailable);
        drop(std::move(*of));
    }
}

void pipeline::fail_all(error_code error) {
    disconnect();
    while (!unsettled_.empty()) settle_with(unsettled_.front(), error);
    for (auto& [key, fetch] : std::exchange(fetches_, {})) drop_all(fetch.others);
    for (auto* const line : {&unknown_, &second_steps_, &holders_, &large_, &ready_}) drop_all(*line);
}

void pipeline::settle(operation& answered) {
    answered.unlink();
    leave_key(answered);
    answered.settle();
}

void pipeline::settle_with(operation& failed, error_code error) {
    failed.unlink();
    leave_key(failed);
    failed.fail(error);
}

void pipeline::leave_key(operation const& settled) {
    if (settled.kind() == operation_kind::unordered) return;
    auto const found = keys_.find(settled.key());
    auto& state = found->second;
    if (settled.stage == operation::progress::unsent) --state.unsent;
    if (settled.stage == operation::progress::first_step) state.first_step = nullptr;
    if (--state.unsettled == 0) keys_.erase(found);
}

void pipeline::release(operation const& dropped) {
    --load_.operations;
    load_.bytes -= dropped.weight();
}

void pipeline::drop(std::unique_ptr<operation> dropped) {
    auto const weight = dropped->weight();
    dropped.reset();
    --load_.operations;
    load_.bytes -= weight;
}

template <class Line>
void pipeline::drop_all(Line& line) {
    for (auto& each : std::exchange(line, {})) drop(std::move(each));
}

}  // namespace idempo::redis
