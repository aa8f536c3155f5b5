// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/own_command.hpp>

#include <idempo/redis/protocol/reply_error.hpp>

namespace idempo::redis {

void append_asking(std::string& to) { append_command(to, {"ASKING"}); }

bool read_asking(reply_view answer) { return answer.is_error() || answer.text() == "OK"; }

void append_replica_wait(std::string& to, redis_replica_wait const& wanted) {
    auto const count = std::to_string(wanted.count);
    auto const timeout = std::to_string(wanted.timeout.count());
    wanted.on_disk ? append_command(to, {"WAITAOF", "1", count, timeout})
                   : append_command(to, {"WAIT", count, timeout});
}

std::optional<bool> read_replica_wait(reply_view answer, redis_replica_wait const& wanted) {
    if (answer.is_error()) return false;
    if (wanted.on_disk) {  // how many of the two kinds
        if (answer.size() != 2 || answer[0].integer() < 0 || answer[1].integer() < 0) return std::nullopt;
        return answer[0].integer() >= 1 && answer[1].integer() >= wanted.count;
    }
    if (!answer.is_integer() || answer.integer() < 0) return std::nullopt;
    return answer.integer() >= wanted.count;
}

bool read_superseded(reply_view answer) {
    if (answer.is_error()) return meaning_of(answer.text()) != error_meaning::wrong_server;
    return answer.is_nil() || answer.is_string();
}

}  // namespace idempo::redis
