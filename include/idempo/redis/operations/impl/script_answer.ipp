// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/script_answer.hpp>

#include <idempo/redis/operations/record.hpp>

#include <chrono>
#include <limits>

namespace idempo::redis {

namespace {

using std::chrono::milliseconds;

template <class Result>
using answer_of = std::optional<script_answer<Result>>;

template <class Result>
answer_of<Result> unreadable() {
    return script_answer<Result>{};
}

template <class Result, class Value>
answer_of<Result> known(Value value) {
    return script_answer<Result>{Result(std::move(value))};
}

std::optional<long long> number_at(reply_view answer, std::size_t index) {
    if (!answer[index].is_integer()) return std::nullopt;
    return answer[index].integer();
}

std::optional<unsigned> attempt_at(reply_view answer, std::size_t index) {
    auto const number = number_at(answer, index);
    if (!number || *number < 1 || *number > std::numeric_limits<unsigned>::max()) return std::nullopt;
    return static_cast<unsigned>(*number);
}

/// Empty where there are none.
shared_bytes bytes_at(reply_view answer, std::size_t index) {
    if (!answer[index].is_string() || answer[index].text().empty()) return {};
    return shared_bytes(answer[index].text());
}

/// Of the record, where the script says it.
mismatch read_mismatch(reply_view recorded) {
    mismatch met;
    if (!recorded.is_string() || recorded.text().size() != sizeof(fingerprint)) return met;
    recorded.text().copy(reinterpret_cast<char*>(met.recorded.emplace().bytes.data()), sizeof(fingerprint));
    return met;
}

/// The answers that Claim and Complete have in common.
template <class Result>
answer_of<Result> read_rival(std::string_view word, reply_view answer) {
    if (word == "mismatch") return known<Result>(read_mismatch(answer[2]));
    if (word == "unreadable") return unreadable<Result>();
    if (word == "completed" && answer[2].is_string()) {
        return known<Result>(completed{shared_bytes(answer[2].text())});
    }
    if (word == "in_flight") {
        if (auto const left = number_at(answer, 2)) return known<Result>(in_flight{milliseconds(*left)});
    }
    return std::nullopt;
}

/// Instead of a record.
answer_of<std::optional<record_info>> read_mark(reply_view answer) {
    auto const left = number_at(answer, 2);
    if (!left) return std::nullopt;
    record_info info;
    info.state = record_state::remembered;
    info.attempt = 0;
    info.expires_in = milliseconds(*left);
    return known<std::optional<record_info>>(info);
}

}  // namespace

answer_of<claim_result> read_claim(reply_view answer) {
    auto const word = answer[1].text();
    auto const attempt = attempt_at(answer, 2);
    if (word == "granted" && attempt) return known<claim_result>(granted{*attempt, bytes_at(answer, 3)});
    if (word == "parked" && attempt) return known<claim_result>(parked{*attempt, bytes_at(answer, 3)});
    if (word == "expired" && attempt) return known<claim_result>(expired{*attempt});
    if (word == "remembered") return known<claim_result>(remembered{});
    return read_rival<claim_result>(word, answer);
}

answer_of<complete_result> read_complete(reply_view answer) {
    auto const word = answer[1].text();
    if (word == "done") return known<complete_result>(done{});
    return read_rival<complete_result>(word, answer);
}

answer_of<std::optional<shared_bytes>> read_fetch(reply_view answer) {
    using result = std::optional<shared_bytes>;
    auto const word = answer[1].text();
    if (word == "gone") return known<result>(std::nullopt);
    if (word == "found" && answer[2].is_string()) return known<result>(shared_bytes(answer[2].text()));
    return std::nullopt;
}

answer_of<bool> read_held(reply_view answer) {
    auto const word = answer[1].text();
    if (word == "held") return known<bool>(true);
    if (word == "lost") return known<bool>(false);
    if (word == "unreadable") return unreadable<bool>();
    return std::nullopt;
}

answer_of<bool> read_abandon(reply_view answer) {
    auto const word = answer[1].text();
    if (word == "done") return known<bool>(true);
    if (word == "unreadable") return unreadable<bool>();
    return std::nullopt;
}

answer_of<std::optional<record_info>> read_peek(reply_view answer) {
    using result = std::optional<record_info>;
    auto const word = answer[1].text();
    if (word == "absent") return known<result>(std::nullopt);
    if (word == "unreadable") return unreadable<result>();
    if (word == "remembered") return read_mark(answer);
    auto const size = number_at(answer, 3);
    auto const left = number_at(answer, 4);
    if (word != "found" || !size || !left || *size < 0) return std::nullopt;
    auto const found = read_header(answer[2].text(), static_cast<std::size_t>(*size));
    if (!found || *left < 0) return unreadable<result>();  // damaged, or somebody has made it last for ever

    record_info info;
    info.state = found->is_completed ? record_state::completed : record_state::in_flight;
    info.attempt = found->attempt;
    info.expires_in = milliseconds(*left);
    info.age = found->life - info.expires_in;
    if (found->is_completed) {
        info.record_bytes = static_cast<std::size_t>(*size) - header_size;
        return known<result>(info);
    }
    info.lease_remaining = found->lease - (found->life - info.expires_in);
    if (auto const steps = number_at(answer, 5)) info.steps_bytes = static_cast<std::size_t>(*steps);
    if (found->is_parked && info.lease_remaining <= milliseconds::zero()) info.state = record_state::parked;
    info.reason = answer[6].text();
    return known<result>(info);
}

reservation read_reservation(reply_view answer, claim_request const& request) {
    if (answer.is_nil()) return {granted{1}, false};
    auto const value = answer.text();
    auto const found = read_header(value, value.size());
    if (!found) return {std::nullopt, true};
    if (found->fingerprint != request.fingerprint) return {mismatch{found->fingerprint}, false};
    if (found->is_completed) return {completed{shared_bytes(completed_bytes(value))}, false};
    return {};
}

}  // namespace idempo::redis
