// SPDX-License-Identifier: MIT
#include <idempo/stores/impl/heartbeat.ipp>
#include <idempo/stores/impl/memory_store.ipp>
#include <idempo/stores/impl/open_store.ipp>
#include <idempo/stores/impl/per_core_shared_mutex.ipp>
#include <idempo/stores/impl/record_memory.ipp>
#include <idempo/stores/impl/record_seal.ipp>
#include <idempo/stores/impl/url_scheme.ipp>
#include <idempo/stores/impl/used_keys.ipp>
