// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/key_slot.hpp>

#include <boost/crc.hpp>

namespace idempo::redis {

std::uint16_t key_slot(std::string_view redis_key) {
    boost::crc_xmodem_t sum;
    sum.process_bytes(redis_key.data(), redis_key.size());
    return static_cast<std::uint16_t>(sum.checksum() % slot_count);
}

}  // namespace idempo::redis
