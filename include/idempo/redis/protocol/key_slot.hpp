// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace idempo::redis {

/// What the keys of a cluster are divided into.
inline constexpr std::size_t slot_count = 16384;

/// The slot of one of our keys: CRC-16/XMODEM of the whole key. It has no hash tag: `validate` refuses a prefix with
/// '{' where there is a cluster, and the rest of a key has none.
/// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
[[nodiscard]] std::uint16_t key_slot(std::string_view redis_key);

}  // namespace idempo::redis
