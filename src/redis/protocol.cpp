// SPDX-License-Identifier: MIT
#include <idempo/redis/protocol/impl/key_slot.ipp>
#include <idempo/redis/protocol/impl/redirection.ipp>
#include <idempo/redis/protocol/impl/reply_error.ipp>
#include <idempo/redis/protocol/impl/resp_codec.ipp>
#include <idempo/redis/protocol/impl/slot_map.ipp>
