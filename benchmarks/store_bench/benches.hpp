// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// \file
/// Each measures one store beside its server's own benchmark, and prints a table.

/// \param port of a redis-server that holds nothing else: it is emptied again and again
/// \param only_in_flight which lines of the table; 0: all
void bench_redis(std::string const& port, int repetitions, std::size_t only_in_flight);

/// Claims over a network that takes 0, 1 and 3 ms for a round trip.
/// \param port as above
void bench_redis_distance(std::string const& port, int repetitions);

/// Claims on the primaries of a Redis Cluster beside those on one server; all are emptied.
/// \param port of the one
/// \param primaries the ports of the others
void bench_redis_cluster(std::string const& port, std::vector<std::string> const& primaries, int repetitions);

/// What a store with the table `idempo_bench` has made, as DROP TABLE wants it.
inline constexpr auto postgres_tables = "idempo_bench, idempo_bench_marks, idempo_bench_migrations";

struct postgres_load {
    /// How many operations at once: one line of the table each.
    std::vector<std::size_t> in_flight{1, 16, 64, 256};
    /// Of the store.
    std::size_t workers = 2;
    /// Whether the server gathers its statistics while the table is empty.
    bool analyze = false;
};

/// \param connection as libpq reads it
void bench_postgres(std::string const& connection, postgres_load const& load, int repetitions);

/// Requests in transactional mode beside bare transactions, and such that insert their record themselves.
/// \param pooled the same server through a pooler; empty: without those columns
void bench_transactions(std::string const& connection, std::string const& pooled, int repetitions);

/// The size of the table while so many keys come and go.
void churn_postgres(std::string const& connection, std::size_t keys);
