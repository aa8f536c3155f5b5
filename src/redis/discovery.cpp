// SPDX-License-Identifier: MIT
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
