// SPDX-License-Identifier: MIT

// The stores beside their servers' own benchmarks. docs/benchmarks.md has the results and the commands.

#include "store_bench/benches.hpp"

#include <CLI/CLI.hpp>

#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

void add_repetitions(CLI::App& app, int& repetitions) {
    app.add_option("--repetitions", repetitions, "Of each line of the table, which has their medians")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App app("Measures a store beside its server's own benchmark, in turns.");
    app.require_subcommand(1);
    int repetitions = 7;

#ifdef STORE_BENCH_HAS_REDIS
    std::string port;
    auto* const redis = app.add_subcommand("redis", "Beside redis-benchmark");
    redis->add_option("port", port, "Of a redis-server that holds nothing else: it is emptied")->required();
    add_repetitions(*redis, repetitions);
    std::size_t only_in_flight = 0;
    redis->add_option("--in-flight", only_in_flight, "Only the lines with so many: 1, 16, 64 or 256");
    redis->callback([&] { bench_redis(port, repetitions, only_in_flight); });

    auto* const distance = app.add_subcommand("redis-distance", "At a distance, beside redis-benchmark");
    distance->add_option("port", port, "Of a redis-server that holds nothing else: it is emptied")->required();
    add_repetitions(*distance, repetitions);
    distance->callback([&] { bench_redis_distance(port, repetitions); });

    std::vector<std::string> primaries;
    auto* const cluster = app.add_subcommand("redis-cluster", "A Redis Cluster beside one Redis");
    cluster->add_option("port", port, "Of a redis-server that holds nothing else: it is emptied")->required();
    cluster->add_option("primaries", primaries, "The ports of all primaries of a cluster: they are emptied")
        ->required();
    add_repetitions(*cluster, repetitions);
    cluster->callback([&] { bench_redis_cluster(port, primaries, repetitions); });
#endif
#ifdef STORE_BENCH_HAS_POSTGRES
    std::string connection;
    auto* const postgres = app.add_subcommand("postgres", "Beside pgbench");
    postgres->add_option("connection", connection, "A libpq connection string or URI; table idempo_bench is made there")
        ->required();
    postgres_load load;
    postgres->add_flag("--analyze-empty", load.analyze,
                       "Let the server gather its statistics while the table is empty");
    add_repetitions(*postgres, repetitions);
    postgres->add_option("--in-flight", load.in_flight, "The lines of the table")->capture_default_str();
    postgres->add_option("--workers", load.workers, "Of the store")->capture_default_str();
    std::size_t churn_keys = 0;
    postgres->add_option("--churn", churn_keys, "Instead: let so many keys come and go, and print the table's size");
    bool transactions = false;
    postgres->add_flag("--transactional", transactions, "Instead: the transactional mode beside bare transactions");
    std::string pooled;
    postgres->add_option("--pooled", pooled, "With --transactional: the same database through a pooler");
    postgres->callback([&] {
        if (churn_keys > 0) return churn_postgres(connection, churn_keys);
        if (transactions) return bench_transactions(connection, pooled, repetitions);
        bench_postgres(connection, load, repetitions);
    });
#endif

    try {
        app.parse(count, arguments);
    } catch (CLI::ParseError const& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (std::exception const& error) {
        std::cerr << "store_bench: " << error.what() << '\n';
        return 1;
    }
}
