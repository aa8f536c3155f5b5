// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/redis/command_reader.hpp"
#include "simulation/redis/database.hpp"
#include "simulation/redis/reply.hpp"
#include "simulation/store_call.hpp"

#include <optional>

namespace idempo::simulation {

/// A call of the store as a Redis server has seen and answered it.
struct witnessed_call {
    store_call call;
    store_answer answer;
};

/// What a command and its reply say in terms of the contract of stores; nothing where they say nothing of a record: an
/// error, an unreadable value, or a look that decides nothing.
/// \param data after the command
[[nodiscard]] std::optional<witnessed_call> witness(redis_words const& words, redis_reply const& reply,
                                                    redis_database& data);

}  // namespace idempo::simulation
