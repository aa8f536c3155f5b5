// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/store.hpp>

#include <optional>
#include <string_view>

/// \file
/// What the scripts' answers mean. Each function is given an answer that begins with the right token, and returns
/// nothing where it makes no sense otherwise: then the connection is not one to Redis, or not in step with it.

namespace idempo::redis {

/// Without a result: the value under the key is none of ours, or damaged.
template <class Result>
struct script_answer {
    std::optional<Result> result;
};

[[nodiscard]] std::optional<script_answer<claim_result>> read_claim(reply_view answer);
[[nodiscard]] std::optional<script_answer<complete_result>> read_complete(reply_view answer);
/// What Complete was given; nothing where the record is gone.
[[nodiscard]] std::optional<script_answer<std::optional<shared_bytes>>> read_fetch(reply_view answer);
/// Whether the claim is held; of `save_step`, `park` and `settle`, whether it has been done.
[[nodiscard]] std::optional<script_answer<bool>> read_held(reply_view answer);
/// The result says nothing.
[[nodiscard]] std::optional<script_answer<bool>> read_abandon(reply_view answer);
[[nodiscard]] std::optional<script_answer<std::optional<record_info>>> read_peek(reply_view answer);

/// What is known from the reply to `SET key record NX GET PX life`.
struct reservation {
    /// Known at once: granted, mismatch, completed.
    std::optional<claim_result> result;
    /// The value under the key is none of ours, or damaged. With neither it is in flight, and the script decides.
    bool unreadable = false;
};

/// \param answer nil, or the value that was there
[[nodiscard]] reservation read_reservation(reply_view answer, claim_request const& request);

}  // namespace idempo::redis
