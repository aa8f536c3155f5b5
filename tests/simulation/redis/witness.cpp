// SPDX-License-Identifier: MIT
#include "simulation/redis/witness.hpp"

#include "simulation/redis/record.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace idempo::simulation {

namespace {

using std::chrono::milliseconds;

template <class Id>
Id id_of(std::string_view bytes) {
    Id id;
    std::copy_n(bytes.begin(), std::min(bytes.size(), id.bytes.size()), id.bytes.begin());
    return id;
}

milliseconds span_of(std::string const& text) { return milliseconds(std::stoll(text)); }

/// From its hexadecimal digits, which end the name of the record.
store_key key_of_name(std::string const& name) {
    store_key key;
    auto const digits = name.substr(name.size() - 2 * key.bytes.size());
    for (std::size_t i = 0; i < key.bytes.size(); ++i)
        key.bytes[i] = static_cast<unsigned char>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    return key;
}

/// A run of the script: its keys, arguments and reply.
class script_run {
public:
    script_run(redis_words const& words, redis_reply::array const& answer, redis_database& data)
        : words_(words),
          keys_(std::stoul(words[2])),
          answer_(answer),
          data_(data) {}

    [[nodiscard]] std::optional<witnessed_call> told() const {
        auto const& name = words_.back();
        if (word() == "unreadable") return std::nullopt;
        if (name == "claim") return claim();
        if (name == "complete") return complete();
        if (name == "abandon") return witnessed_call{abandon_request{key(), token()}, {}};
        if (name == "renew") return held(renew_request{key(), token(), span_of(argument(2))});
        if (name == "save_step") return held(step());
        if (name == "park") return held(park());
        if (name == "settle") return held(settle());
        if (name == "peek") return peek();
        return std::nullopt;
    }

private:
    [[nodiscard]] std::string const& argument(std::size_t number) const { return words_[2 + keys_ + number]; }
    [[nodiscard]] store_key key() const { return key_of_name(words_[3]); }
    [[nodiscard]] fencing_token token() const { return id_of<fencing_token>(argument(1)); }
    [[nodiscard]] milliseconds remember(std::size_t number) const {
        return keys_ > 1 ? span_of(argument(number)) : milliseconds{0};
    }
    [[nodiscard]] std::string const& word() const { return std::get<std::string>(answer_[1].value); }
    [[nodiscard]] std::string const& text(std::size_t index) const {
        return std::get<std::string>(answer_[index].value);
    }
    [[nodiscard]] unsigned number(std::size_t index) const {
        return static_cast<unsigned>(std::get<long long>(answer_[index].value));
    }
    [[nodiscard]] milliseconds span(std::size_t index) const {
        return milliseconds(std::get<long long>(answer_[index].value));
    }
    [[nodiscard]] redis_record record(std::size_t number) const {
        return *read_redis_record(argument(number), argument(number).size());
    }

    [[nodiscard]] witnessed_call held(store_call call) const {
        store_answer answer;
        answer.result = word() == "held";
        return {std::move(call), std::move(answer)};
    }

    [[nodiscard]] claim_result claimed() const {
        if (word() == "granted") return granted{number(2), answer_.size() > 3 ? shared_bytes(text(3)) : shared_bytes()};
        if (word() == "in_flight") return in_flight{span(2)};
        if (word() == "mismatch") return mismatch{id_of<fingerprint>(text(2))};
        if (word() == "completed") return completed{shared_bytes(text(2))};
        if (word() == "large") return completed{shared_bytes(data_.hget(words_[3], "answer").value_or(""))};
        if (word() == "parked") return parked{number(2), shared_bytes(text(3))};
        if (word() == "expired") return expired{number(2)};
        return remembered{};
    }

    [[nodiscard]] witnessed_call claim() const {
        auto const asked = record(1);
        claim_request call;
        call.key = key();
        call.fencing_token = id_of<fencing_token>(asked.token);
        call.fingerprint = id_of<fingerprint>(asked.fingerprint);
        call.lease = milliseconds(asked.lease);
        call.retention = span_of(argument(2)) - call.lease;
        call.take_over = argument(3) == "1";
        call.take_parked = argument(4) == "1";
        call.remember = remember(5);
        store_answer answer;
        answer.result = claimed();
        return {call, std::move(answer)};
    }

    [[nodiscard]] complete_result completing() const {
        if (word() == "done") return done{};
        if (word() == "completed") return completed{shared_bytes(text(2))};
        if (word() == "in_flight") return in_flight{span(2)};
        return mismatch{};
    }

    [[nodiscard]] witnessed_call complete() const {
        auto const asked = record(1);
        complete_request call;
        call.key = key();
        call.fencing_token = id_of<fencing_token>(asked.token);
        call.fingerprint = id_of<fingerprint>(asked.fingerprint);
        call.record = shared_bytes(asked.body);
        call.retention = span_of(argument(2));
        call.remember = remember(4);
        store_answer answer;
        answer.result = completing();
        return {std::move(call), std::move(answer)};
    }

    [[nodiscard]] step_request step() const {
        step_request call;
        call.key = key();
        call.fencing_token = token();
        call.offset = std::stoul(argument(2));
        call.step = shared_bytes(argument(3));
        return call;
    }

    [[nodiscard]] park_request park() const {
        auto const asked = record(1);
        park_request call;
        call.key = key();
        call.fencing_token = id_of<fencing_token>(asked.token);
        call.fingerprint = id_of<fingerprint>(asked.fingerprint);
        call.reason = shared_bytes(asked.reason());
        call.retention = span_of(argument(2));
        call.remember = remember(3);
        return call;
    }

    [[nodiscard]] settle_request settle() const {
        settle_request call;
        call.key = key();
        call.attempt = static_cast<unsigned>(std::stoul(argument(2)));
        if (!argument(3).empty()) call.record = shared_bytes(record(3).body);
        call.retention = span_of(argument(4));
        return call;
    }

    /// As much as the simulation asks of it.
    [[nodiscard]] witnessed_call peek() const {
        store_answer answer;
        answer.result = std::optional<record_info>();
        if (word() != "found") return {peek_request{key()}, std::move(answer)};
        auto const found = read_redis_header(text(2));
        record_info info;
        info.attempt = found.attempt;
        info.expires_in = span(4);
        bool const is_over = found.lease - (found.life - info.expires_in.count()) <= 0;
        if (found.is_done()) info.state = record_state::completed;
        if (found.is_parked() && is_over) info.state = record_state::parked;
        answer.result = std::optional(info);
        return {peek_request{key()}, std::move(answer)};
    }

    redis_words const& words_;
    std::size_t keys_;
    redis_reply::array const& answer_;
    redis_database& data_;
};

/// SET key value NX GET PX life: a claim's first step.
std::optional<witnessed_call> first_step(redis_words const& words, redis_reply const& reply) {
    auto const asked = read_redis_record(words[2], words[2].size());
    if (!asked) return std::nullopt;
    claim_request call;
    call.key = key_of_name(words[1]);
    call.fencing_token = id_of<fencing_token>(asked->token);
    call.fingerprint = id_of<fingerprint>(asked->fingerprint);
    call.lease = milliseconds(asked->lease);
    call.retention = milliseconds(asked->life) - call.lease;
    call.take_over = false;
    store_answer answer;
    if (std::holds_alternative<redis_reply::nil>(reply.value)) {
        answer.result = claim_result(granted{1});
        return witnessed_call{call, std::move(answer)};
    }
    auto const* const value = std::get_if<std::string>(&reply.value);
    auto const found = value == nullptr ? std::nullopt : read_redis_record(*value, value->size());
    if (!found) return std::nullopt;
    if (found->fingerprint != asked->fingerprint) {
        answer.result = claim_result(mismatch{id_of<fingerprint>(found->fingerprint)});
    } else if (found->is_done()) {
        answer.result = claim_result(completed{shared_bytes(found->body)});
    } else {
        return std::nullopt;
    }
    return witnessed_call{call, std::move(answer)};
}

}  // namespace

std::optional<witnessed_call> witness(redis_words const& words, redis_reply const& reply, redis_database& data) {
    if (words.front() == "SET") return first_step(words, reply);
    if (words.front() != "EVALSHA" && words.front() != "EVAL") return std::nullopt;
    auto const* const answer = std::get_if<redis_reply::array>(&reply.value);
    return answer == nullptr ? std::nullopt : script_run(words, *answer, data).told();
}

}  // namespace idempo::simulation
