// SPDX-License-Identifier: MIT

// Claims a second on three primaries of a Redis Cluster and on one Redis, in turns within one run, and the CPU time
// that a claim takes on either side. docs/benchmarks.md has the results and the command.
//
//     benchmarks/store_bench/redis_cluster.sh <store_bench>     starts the servers, and runs this

#include "store_bench/benches.hpp"
#include "store_bench/claim_load.hpp"

#include <idempo/redis/store.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace {

constexpr std::size_t operations = 200'000;

double seconds_of(::timeval const& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Of this process so far, in seconds.
double own_cpu_time() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

/// Of these servers so far, in seconds.
double cpu_time_of(std::vector<std::string> const& ports) {
    double sum = 0;
    for (auto const& port : ports) {
        for (auto const* mode : {"user", "sys"}) {
            auto const command = "redis-cli -p " + port + " info cpu | grep used_cpu_" + mode + ": | cut -d: -f2";
            sum += std::strtod(output_of(command).c_str(), nullptr);
        }
    }
    return sum;
}

struct measurement {
    double claims_per_second = 0;
    double client_microseconds = 0;
    double server_microseconds = 0;
};

struct measurements {
    std::vector<double> rate;
    std::vector<double> client;
    std::vector<double> server;

    void add(measurement const& one) {
        rate.push_back(one.claims_per_second);
        client.push_back(one.client_microseconds);
        server.push_back(one.server_microseconds);
    }
};

measurement measure(idempo::redis_options const& options, std::vector<std::string> const& ports,
                    std::size_t in_flight) {
    for (auto const& port : ports) output_of("redis-cli -p " + port + " flushall");
    boost::asio::io_context context(1);
    idempo::redis_store store(context.get_executor(), options);
    std::vector<idempo::claim_request> claims(operations);
    for (auto& claim : claims) claim = new_claim();
    // So many that the connections are there when the time begins.
    std::vector<idempo::claim_request> first(1000);
    for (auto& claim : first) claim = new_claim();
    claim_load(store, first).run(context, in_flight, first.size());

    auto const servers_before = cpu_time_of(ports);
    auto const client_before = own_cpu_time();
    measurement made;
    made.claims_per_second = claim_load(store, claims).run(context, in_flight, operations);
    made.client_microseconds = (own_cpu_time() - client_before) * 1e6 / operations;
    made.server_microseconds = (cpu_time_of(ports) - servers_before) * 1e6 / operations;
    return made;
}

idempo::redis_endpoint local(std::string const& port) {
    return {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(std::stoi(port))};
}

void print(char const* name, std::size_t in_flight, measurements const& all) {
    std::printf("%9zu  %-16s %9.0f %14.2f %15.2f\n", in_flight, name, median(all.rate), median(all.client),
                median(all.server));
}

}  // namespace

void bench_redis_cluster(std::string const& port, std::vector<std::string> const& primaries, int repetitions) {
    idempo::redis_options one;
    one.port = local(port).port;
    idempo::redis_options cluster;
    for (auto const& primary : primaries) cluster.cluster_nodes.push_back(local(primary));

    std::puts("in flight  servers           claims/s  client CPU us  servers' CPU us");
    for (std::size_t const in_flight : {16U, 64U, 256U}) {
        measurements of_one;
        measurements of_cluster;
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            of_one.add(measure(one, {port}, in_flight));
            of_cluster.add(measure(cluster, primaries, in_flight));
        }
        print("one", in_flight, of_one);
        print("cluster", in_flight, of_cluster);
        std::printf("%9zu  cluster/one      %9.2f %14.2f %15.2f\n", in_flight,
                    median_ratio(of_cluster.rate, of_one.rate), median_ratio(of_cluster.client, of_one.client),
                    median_ratio(of_cluster.server, of_one.server));
        std::fflush(stdout);
    }
}
