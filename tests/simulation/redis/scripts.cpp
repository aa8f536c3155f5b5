// SPDX-License-Identifier: MIT
#include "simulation/redis/scripts.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace idempo::simulation {

namespace {

constexpr std::size_t largest_plain = 84 + 65536;
std::string const nobody(16, '\0');

std::int64_t lease_left(redis_record const& found, std::int64_t left) { return found.lease - (found.life - left); }

/// What a claim, a Complete or a park asks for, which the client has written as attempt 1.
redis_record asked_for(std::string const& argument) {
    auto asked = read_redis_record(argument, argument.size());
    if (!asked) throw redis_failure{"ERR the simulation cannot read what the client wants to write"};
    return std::move(*asked);
}

std::optional<std::int64_t> as_number(std::optional<std::string> const& text) {
    if (!text) return std::nullopt;
    std::int64_t number = 0;
    auto const* const end = text->data() + text->size();
    auto const [stopped, error] = std::from_chars(text->data(), end, number);
    return error == std::errc() && stopped == end ? std::optional(number) : std::nullopt;
}

}  // namespace

void redis_condition::check_write(bool needs_memory) const {
    if (is_replica) throw redis_failure{"READONLY You can't write against a read only replica."};
    if (!refusal.empty()) throw redis_failure{refusal};
    if (needs_memory && is_full) throw redis_failure{"OOM command not allowed when used memory > 'maxmemory'."};
}

redis_reply redis_script::run(redis_words const& keys, redis_words const& arguments) {
    keys_ = &keys;
    arguments_ = &arguments;
    has_written_ = false;
    token_ = argument(1);
    auto const& name = arguments.back();
    if (name == "abandon") return abandon();
    if (name == "claim") return claim();
    if (name == "complete") return complete();
    if (name == "fetch") return fetch();
    if (name == "park") return park();
    if (name == "peek") return peek();
    if (name == "renew") return renew();
    if (name == "save_step") return save_step();
    if (name == "settle") return settle();
    if (name == "take") return take();
    return {};
}

redis_reply redis_script::says(std::string_view word) const { return redis_reply::array{token_, std::string(word)}; }

void redis_script::write(bool needs_memory) {
    if (has_written_ && breaks_off_) throw redis_failure{"ERR broken off"};
    if (!has_written_) condition_.check_write(needs_memory);
    has_written_ = true;
}

void redis_script::set(std::string const& key, std::string value, std::int64_t life) {
    write(true);
    data_.set(key, std::move(value), life);
}

void redis_script::pexpire(std::int64_t life) {
    write(false);
    data_.pexpire(key(), life);
}

void redis_script::del(bool with_mark) {
    write(false);
    data_.del(key());
    if (with_mark) data_.del(keys_->at(1));
}

std::optional<redis_script::found_value> redis_script::find() {
    found_value found;
    try {
        auto text = data_.get(key());
        if (!text) return std::nullopt;
        found.text = std::move(*text);
        found.size = found.text.size();
    } catch (redis_failure const&) {  // a hash, or else the next command fails as this one
        found.text = data_.hget(key(), "header").value_or("");
        found.size = found.text.size() + data_.hstrlen(key(), "answer");
    }
    found.record = read_redis_record(found.text, found.size);
    return found;
}

std::string redis_script::answer_in(found_value const& found) {
    if (found.text.size() == found.size) return found.record->body;
    return data_.hget(key(), "answer").value_or("");
}

void redis_script::keep(std::string const& record, std::int64_t life) {
    if (record.size() <= largest_plain) return set(key(), record, life);
    auto const header = record.substr(0, redis_record::header_size);
    write(true);
    data_.del(key());
    data_.hset(key(), "header", header);
    data_.hset(key(), "answer", record.substr(redis_record::header_size));
    data_.pexpire(key(), life);
}

void redis_script::mark(std::int64_t life, std::string const& remember) {
    if (!has_mark() || bug_ == mutant::redis_forgets_used_keys) return;
    auto const outlives = bug_ == mutant::redis_mark_ends_early ? 0 : life;
    set(keys_->at(1), remember, outlives + std::stoll(remember));
}

void redis_script::move_mark(std::int64_t life) {
    auto const remember = as_number(data_.get(keys_->at(1)));
    if (!remember) return;
    write(false);
    data_.pexpire(keys_->at(1), life + *remember);
}

bool redis_script::is_held_by(redis_record const& found, std::string_view token, std::int64_t left) const {
    if (found.is_done() || found.token != token) return false;
    return found.state == "open" || lease_left(found, left) > 0;
}

redis_reply redis_script::abandon() {
    auto const found = find();
    if (!found) return says("done");
    if (!found->record) return says("unreadable");
    auto const left = data_.pttl(key());
    auto record = *found->record;
    bool const is_others = bug_ == mutant::redis_abandon_without_fence && record.state == "open";
    if (!is_held_by(record, token_, left) && !is_others) return says("done");
    bool const is_new = record.attempt == 1 && found->text.size() == redis_record::header_size;
    if (is_new || left < 1 || bug_ == mutant::redis_abandon_removes) {
        del(has_mark());
        return says("done");
    }
    pexpire(left);
    record.token = nobody;
    --record.attempt;
    record.lease = 0;
    record.life = left;
    set(key(), record.as_value(), left);
    return says("done");
}

redis_reply redis_script::claim() {
    auto const asked = asked_for(argument(1));
    token_ = asked.token;
    auto const found = find();
    if (found) return claim_found(asked, *found);
    if (has_mark() && data_.get(keys_->at(1))) return says("remembered");
    set(key(), argument(1), number(2));
    if (has_mark()) mark(number(2), argument(5));
    return redis_reply::array{token_, std::string("granted"), 1LL};
}

redis_reply redis_script::claim_found(redis_record const& asked, found_value const& found) {
    if (!found.record) return says("unreadable");
    auto const& record = *found.record;
    bool const is_same = record.fingerprint == asked.fingerprint || bug_ == mutant::redis_claim_ignores_fingerprint;
    if (!is_same) return redis_reply::array{token_, std::string("mismatch"), record.fingerprint};
    if (record.is_done()) {
        if (found.text.size() < found.size)
            return redis_reply::array{token_, std::string("large"), found.text, static_cast<long long>(found.size)};
        return redis_reply::array{token_, std::string("completed"), answer_in(found)};
    }
    auto left = data_.pttl(key());
    if (left < 0) return says("unreadable");
    left = std::max<std::int64_t>(1, left);
    auto const granted = [&](std::uint32_t attempt) {
        return redis_reply::array{token_, std::string("granted"), static_cast<long long>(attempt),
                                  std::string(record.steps())};
    };
    if (is_held_by(record, token_, left)) {
        pexpire(left);
        return granted(record.attempt);
    }
    auto const lease = bug_ == mutant::redis_takeover_of_live_lease ? left - record.life : lease_left(record, left);
    if (lease > 0) return redis_reply::array{token_, std::string("in_flight"), static_cast<long long>(lease)};
    if (record.is_parked()) {
        if (argument(4) != "1")
            return redis_reply::array{token_, std::string("parked"), static_cast<long long>(record.attempt),
                                      std::string(record.reason())};
    } else if (record.attempt > 0 && argument(3) != "1") {
        return redis_reply::array{token_, std::string("expired"), static_cast<long long>(record.attempt)};
    }
    auto taken = asked;
    taken.attempt = bug_ == mutant::redis_takeover_is_not_counted ? record.attempt : record.attempt + 1;
    taken.state = record.state;
    taken.body = bug_ == mutant::redis_takeover_drops_steps && !record.is_parked() ? std::string() : record.body;
    set(key(), taken.as_value(), number(2));
    if (has_mark()) mark(number(2), argument(5));
    return granted(taken.attempt);
}

redis_reply redis_script::fetch() {
    std::optional<std::string> header;
    try {
        header = data_.hget(key(), "header");
    } catch (redis_failure const&) {  // no hash: gone
    }
    if (header != argument(1)) return says("gone");
    auto const answer = data_.hget(key(), "answer");
    return redis_reply::array{token_, std::string("found"),
                              answer ? redis_reply(*answer) : redis_reply(redis_reply::nil())};
}

redis_reply redis_script::complete() {
    auto const asked = asked_for(argument(1));
    token_ = asked.token;
    auto const found = find();
    if (found) return complete_found(asked, *found);
    keep(argument(1), number(2));
    if (has_mark()) mark(number(2), argument(4));
    return says("done");
}

redis_reply redis_script::complete_found(redis_record const& asked, found_value const& found) {
    if (!found.record) return says("unreadable");
    auto const& record = *found.record;
    if (record.fingerprint != asked.fingerprint) return says("mismatch");
    bool const is_fenced = bug_ != mutant::redis_complete_without_fence || record.is_done();
    if (record.token != token_ && is_fenced) {
        if (record.is_done()) return redis_reply::array{token_, std::string("completed"), answer_in(found)};
        auto const left = lease_left(record, data_.pttl(key()));
        return redis_reply::array{token_, std::string("in_flight"),
                                  static_cast<long long>(std::max<std::int64_t>(0, left))};
    }
    if (record.is_parked() && !is_held_by(record, token_, data_.pttl(key())))
        return redis_reply::array{token_, std::string("in_flight"), 0LL};
    if (record.is_done()) {
        auto left = data_.pttl(key());
        if (left < 0) left = number(2);
        pexpire(std::max<std::int64_t>(1, left));
        return says("done");
    }
    if (argument(3) == "1") pexpire(number(2));
    auto completed = asked;
    completed.attempt = record.attempt;
    keep(completed.as_value(), number(2));
    if (has_mark()) mark(number(2), argument(4));
    return says("done");
}

redis_reply redis_script::peek() {
    auto const found = find();
    if (!found) {
        if (!data_.get(keys_->at(1))) return says("absent");
        auto const left = std::max<std::int64_t>(0, data_.pttl(keys_->at(1)));
        return redis_reply::array{token_, std::string("remembered"), static_cast<long long>(left)};
    }
    auto const left = data_.pttl(key());
    auto const tell = [&](std::size_t steps, std::string_view reason) {
        return redis_reply::array{token_,
                                  std::string("found"),
                                  found->text.substr(0, redis_record::header_size),
                                  static_cast<long long>(found->size),
                                  static_cast<long long>(left),
                                  static_cast<long long>(steps),
                                  std::string(reason)};
    };
    // The caller checks the header of a completed record.
    if (std::string_view(found->text).substr(0, 8).ends_with("done") && found->text.size() >= 8) return tell(0, {});
    if (!found->record || left < 0) return says("unreadable");
    return tell(found->record->steps().size(), found->record->reason());
}

redis_reply redis_script::renew() {
    auto const found = find();
    if (!found) return says("lost");
    if (!found->record) return says("unreadable");
    auto record = *found->record;
    bool const is_others = bug_ == mutant::redis_renew_without_fence && record.state == "open";
    if (!is_held_by(record, token_, data_.pttl(key())) && !is_others) return says("lost");
    if (bug_ == mutant::redis_renew_does_nothing) return says("held");
    auto const lease = number(2);
    auto const life = std::max<std::int64_t>(1, lease + record.life - record.lease);
    pexpire(life);
    record.life = life;
    record.lease = lease;
    set(key(), record.as_value(), life);
    move_mark(life);
    return says("held");
}

redis_reply redis_script::save_step() {
    auto const found = find();
    if (!found) return says("lost");
    if (!found->record) return says("unreadable");
    auto left = data_.pttl(key());
    if (left < 0) return says("unreadable");
    left = std::max<std::int64_t>(1, left);
    auto record = *found->record;
    bool const is_others = bug_ == mutant::redis_step_without_fence && record.state == "open";
    if (!is_held_by(record, token_, left) && !is_others) return says("lost");
    auto const there = static_cast<std::int64_t>(record.steps().size());
    if (there < number(2)) return says("lost");
    if (there == number(2)) {
        record.body += argument(3);
        set(key(), record.as_value(), left);
    } else {
        pexpire(left);
    }
    return says("held");
}

redis_reply redis_script::park() {
    auto const asked = asked_for(argument(1));
    token_ = asked.token;
    auto const found = find();
    if (found) {
        if (!found->record) return says("unreadable");
        bool const is_same = found->record->fingerprint == asked.fingerprint && found->record->token == token_;
        if (!is_same || found->record->is_done()) return says("lost");
        return park_found(asked, *found->record);
    }
    set(key(), argument(1), number(2));
    if (has_mark()) mark(number(2), argument(3));
    return says("held");
}

redis_reply redis_script::park_found(redis_record const& asked, redis_record found) {
    auto const left = data_.pttl(key());
    if (!is_held_by(found, token_, left)) {
        pexpire(std::max<std::int64_t>(1, left));
        return says("held");
    }
    auto parked = asked;
    parked.attempt = found.attempt;
    parked.body += found.steps();
    if (bug_ == mutant::redis_park_stays_open) {
        parked.state = "open";
        parked.body = found.steps();
    }
    pexpire(number(2));
    set(key(), parked.as_value(), number(2));
    if (has_mark()) mark(number(2), argument(3));
    return says("held");
}

redis_reply redis_script::settle() {
    auto const found = find();
    if (!found) return says("lost");
    if (!found->record) return says("unreadable");
    auto record = *found->record;
    auto const left = data_.pttl(key());
    if (left < 0) return says("unreadable");
    bool const is_its = record.attempt == number(2);
    if (record.is_done() || !is_its || lease_left(record, left) > 0) return says("lost");
    bool const frees = argument(3).empty();
    std::string const steps(record.steps());
    if (frees && steps.empty()) {
        del(true);
        return says("held");
    }
    record.token = nobody;
    record.attempt = frees ? 0 : record.attempt;
    record.state = frees ? "open" : "done";
    record.lease = 0;
    record.life = number(4);
    record.body = frees ? steps : argument(3).substr(redis_record::header_size);
    keep(record.as_value(), number(4));
    move_mark(number(4));
    return says("held");
}

redis_reply redis_script::take() {
    auto left = data_.pttl(key());
    if (left < 1) {
        set(key(), "1", number(3));
        return redis_reply::array{token_, std::string("taken"), 1LL, static_cast<long long>(number(3))};
    }
    auto const text = data_.get(key()).value_or("");
    bool const is_number = text.size() <= 15 && as_number(text) && *as_number(text) >= 0 && text.front() != '-';
    if (!is_number) return says("unreadable");
    auto const taken = *as_number(text);
    if (left > number(3)) {
        pexpire(number(3));
        left = number(3);
    }
    if (taken >= number(2))
        return redis_reply::array{token_, std::string("used_up"), static_cast<long long>(taken),
                                  static_cast<long long>(left)};
    pexpire(left);
    write(true);
    auto const now_taken = data_.incr(key());
    return redis_reply::array{token_, std::string("taken"), now_taken, static_cast<long long>(left)};
}

}  // namespace idempo::simulation
