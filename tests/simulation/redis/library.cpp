// SPDX-License-Identifier: MIT

// The client of Redis once more, compiled with the timers of the simulation. Of `idempo/redis/src.hpp` one file is left
// out, transport.ipp: network.cpp has what stands for it.
#include <idempo/redis/connection/impl/address_book.ipp>
#include <idempo/redis/connection/impl/connect_fsm.ipp>
#include <idempo/redis/connection/impl/connection.ipp>
#include <idempo/redis/connection/impl/connection_fsm.ipp>
#include <idempo/redis/connection/impl/credentials.ipp>
#include <idempo/redis/connection/impl/handshake.ipp>
#include <idempo/redis/connection/impl/name_resolver.ipp>
#include <idempo/redis/connection/impl/own_command.ipp>
#include <idempo/redis/connection/impl/pipeline.ipp>
#include <idempo/redis/discovery/impl/client.ipp>
#include <idempo/redis/discovery/impl/cluster_router.ipp>
#include <idempo/redis/discovery/impl/cluster_watch.ipp>
#include <idempo/redis/discovery/impl/cluster_watch_fsm.ipp>
#include <idempo/redis/discovery/impl/primary_router.ipp>
#include <idempo/redis/discovery/impl/probe.ipp>
#include <idempo/redis/discovery/impl/probe_fsm.ipp>
#include <idempo/redis/discovery/impl/sentinel_protocol.ipp>
#include <idempo/redis/discovery/impl/sentinel_resolver.ipp>
#include <idempo/redis/discovery/impl/sentinel_router.ipp>
#include <idempo/redis/discovery/impl/sentinel_watch.ipp>
#include <idempo/redis/discovery/impl/sentinel_watch_fsm.ipp>
#include <idempo/redis/impl/options.ipp>
#include <idempo/redis/impl/rate_limiter.ipp>
#include <idempo/redis/impl/scheme.ipp>
#include <idempo/redis/impl/store.ipp>
#include <idempo/redis/impl/url.ipp>
#include <idempo/redis/operations/impl/listing.ipp>
#include <idempo/redis/operations/impl/operations.ipp>
#include <idempo/redis/operations/impl/peek_many_operation.ipp>
#include <idempo/redis/operations/impl/record.ipp>
#include <idempo/redis/operations/impl/scan_operation.ipp>
#include <idempo/redis/operations/impl/script.ipp>
#include <idempo/redis/operations/impl/script_answer.ipp>
#include <idempo/redis/operations/impl/take_operation.ipp>
#include <idempo/redis/protocol/impl/key_slot.ipp>
#include <idempo/redis/protocol/impl/redirection.ipp>
#include <idempo/redis/protocol/impl/reply_error.ipp>
#include <idempo/redis/protocol/impl/resp_codec.ipp>
#include <idempo/redis/protocol/impl/slot_map.ipp>
