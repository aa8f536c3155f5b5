// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/take_operation.hpp>

#include <idempo/redis/operations/operations.hpp>

#include <chrono>
#include <utility>

namespace idempo::redis {

std::optional<script_answer<rate_decision>> read_take(reply_view answer, rate const& rate) {
    using std::chrono::milliseconds;
    auto const word = answer[1].text();
    if (word == "unreadable") return script_answer<rate_decision>{};
    if (answer.size() != 4 || !answer[2].is_integer() || !answer[3].is_integer()) return std::nullopt;
    auto const taken = answer[2].integer();
    milliseconds const left{answer[3].integer()};
    if (taken < 0 || left <= milliseconds::zero() || left > rate.window) return std::nullopt;
    if (word == "used_up") return script_answer<rate_decision>{rate_decision(false, 0, left)};
    if (word != "taken" || taken == 0 || taken > rate.limit) return std::nullopt;
    return script_answer<rate_decision>{rate_decision(true, rate.limit - static_cast<unsigned>(taken), left)};
}

take_operation::take_operation(store_key const& client, rate const& rate, std::string_view prefix,
                               boost::asio::any_io_executor executor, handler done)
    : called_operation(client, redis_key(std::string(prefix) + "rate:", client), std::move(executor), std::move(done),
                       operation_kind::unordered),
      rate_(rate) {}

void take_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append(to, abilities, server_key(), token_.view(), std::to_string(rate_.limit),
                   std::to_string(rate_.window.count()));
}

reading take_operation::read(reply_view answer_) {
    if (answer_.is_error()) {
        error_code error;
        auto const outcome = script_.read_error(answer_, error);
        return outcome == reading::answered ? answer(error) : outcome;
    }
    if (!script_call::is_echo(answer_, token_.view())) return reading::wrong_connection;
    auto const found = read_take(answer_, rate_);
    if (!found) return reading::wrong_connection;
    return found->result ? answer(*found->result) : answer(error_code(error::record_unreadable));
}

}  // namespace idempo::redis
