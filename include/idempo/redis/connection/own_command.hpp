// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <cstddef>
#include <optional>
#include <string>

/// \file
/// The commands that the pipeline sends on its own behalf, and what it makes of their replies.

namespace idempo::redis {

/// `ASKING` precedes each command of an operation that was redirected by ASK: only then does a node serve keys of a
/// slot that is still moving to it.
void append_asking(std::string& to);

/// False: the connection is out of step. An error is in step: the reply to the next command says the same.
[[nodiscard]] bool read_asking(reply_view answer);

/// `WAIT`, or `WAITAOF` where the data must be on disks.
void append_replica_wait(std::string& to, redis_replica_wait const& wanted);

/// Whether enough replicas have what was written; an error means that nobody knows. Empty: the connection is out of
/// step.
[[nodiscard]] std::optional<bool> read_replica_wait(reply_view answer, redis_replica_wait const& wanted);

/// The reply to a claim's first step, `SET … GET`, that no longer matters. False: stop using the connection.
[[nodiscard]] bool read_superseded(reply_view answer);

}  // namespace idempo::redis
