// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/random.hpp"

#include <idempo/options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace idempo::simulation {

/// How often what goes wrong. Shares are per mille of messages; the others count events of one world.
struct fault_plan {
    unsigned lost_requests = 0;
    unsigned lost_answers = 0;
    unsigned duplicates = 0;
    unsigned lost_http = 0;
    unsigned cuts = 0;
    unsigned deaths = 0;
    unsigned shutdowns = 0;
    unsigned stops = 0;
    unsigned clock_jumps = 0;
    unsigned slow_or_fast_clocks = 0;
    unsigned store_outages = 0;
    unsigned store_clock_jumps = 0;
    /// The store comes back without its newest records.
    unsigned losses = 0;
    milliseconds longest_delay{5};
};

/// How handlers behave, in per mille of runs.
struct service_plan {
    unsigned with_steps = 0;
    unsigned slow = 0;
    unsigned fails_before_effect = 0;
    unsigned fails_after_effect = 0;
    unsigned keeps_failure = 0;
    unsigned says_unknown = 0;
    unsigned says_release = 0;
    unsigned declines = 0;
    unsigned large_answers = 0;
};

/// What all processes share.
enum class store_kind {
    /// A `memory_store`, behind a model of a client.
    memory,
    /// A simulated Redis, behind the library's own client.
    redis,
    /// A simulated PostgreSQL, behind the library's own client.
    postgresql,
};

/// How the processes use Redis.
struct redis_plan {
    bool waits_for_replica = false;
    bool claims_by_script = false;
    unsigned connections = 1;
    milliseconds connect_timeout{1000};
    milliseconds health_interval{60'000};
    /// What it makes a hash of. Else no answer is that large.
    bool stores_large_answers = false;
};

/// How the processes use PostgreSQL, and how it is set up.
struct postgres_plan {
    unsigned workers = 1;
    milliseconds connect_timeout{1000};
    /// Zero: nobody sweeps.
    milliseconds sweep_interval{0};
    /// The database's default isolation is stricter than read committed.
    bool is_serializable = false;
    /// A commit waits for the standby.
    bool is_synchronous = false;
    /// Larger than what comes with the row.
    bool stores_large_answers = false;
};

/// One world's setup, which follows from its seed.
struct scenario {
    std::uint64_t seed = 0;
    store_kind store = store_kind::memory;
    redis_plan redis{};
    postgres_plan postgres{};
    unsigned processes = 2;
    unsigned keys = 2;
    unsigned clients_per_key = 2;
    /// In 100: how many clients send another payload under the same key.
    unsigned other_payloads = 0;
    /// When the last client comes.
    milliseconds arrivals{2000};
    /// From here on nothing goes wrong any more.
    milliseconds troubled{4000};
    milliseconds store_timeout{500};
    bool resends_after_cut = true;
    bool reconciles = false;
    fault_plan faults{};
    service_plan service{};
    /// Without observer and reconcile.
    idempo::options options{};
};

/// \param store that of the world; empty: as the seed says
[[nodiscard]] scenario make_scenario(std::uint64_t seed, std::optional<store_kind> store = std::nullopt);

}  // namespace idempo::simulation
