// SPDX-License-Identifier: MIT

// Claims of different keys, and of one key, on a Redis that is some milliseconds away, beside redis-benchmark over the
// same network. docs/benchmarks.md has the results and the command.

#include "store_bench/benches.hpp"
#include "store_bench/claim_load.hpp"
#include "support/fault_proxy.hpp"

#include <idempo/redis/operations/record.hpp>

#include <idempo/redis/store.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct load {
    std::size_t in_flight;
    std::size_t operations;
    /// How many keys the claims are of.
    std::size_t keys;
};

double store_rate(std::uint16_t port, load const& what) {
    boost::asio::io_context context(1);
    idempo::redis_options options;
    options.port = port;
    options.operation_timeout = 10s;
    idempo::redis_store store(context.get_executor(), options);
    std::vector<idempo::claim_request> claims(what.keys);
    for (auto& claim : claims) claim = new_claim();
    claim_load(store, {new_claim()}).run(context, 1, 1);  // so that the connection is there
    if (what.keys == 1) {
        claim_load(store, claims).run(context, 1, 1);
        claims[0].fencing_token = idempo::make_fencing_token();  // another attempt: 409
    }
    return claim_load(store, claims).run(context, what.in_flight, what.operations);
}

double benchmark_rate(std::uint16_t port, load const& what) {
    auto const run = std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    auto const line = "redis-benchmark -p " + std::to_string(port) + " -n " + std::to_string(what.operations) +
                      " -c 1 -P " + std::to_string(what.in_flight) + " -r 100000000 --csv SET idempo:" + run +
                      ":00000000000000000000000000000000__rand_int__ " + std::string(idempo::redis::header_size, 'x') +
                      " NX GET PX 3630000 2>/dev/null | tail -1 | cut -d'\"' -f4";
    auto const rate = std::strtod(output_of(line).c_str(), nullptr);
    if (rate <= 0) throw std::runtime_error("redis-benchmark says nothing; is it installed?");
    return rate;
}

void compare(std::string const& server, std::chrono::milliseconds distance, std::size_t in_flight, int repetitions) {
    idempo::tests::fault_proxy network(static_cast<std::uint16_t>(std::stoi(server)));
    network.delay(distance);
    // About as long at each distance.
    std::size_t const operations = distance == 0ms ? 100'000 : in_flight * 400;
    std::vector<double> reference;
    std::vector<double> different;
    std::vector<double> one;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        output_of("redis-cli -p " + server + " flushall");
        reference.push_back(benchmark_rate(network.port(), {in_flight, operations, operations}));
        different.push_back(store_rate(network.port(), {in_flight, operations, operations}));
        one.push_back(store_rate(network.port(), {in_flight, operations, 1}));
    }
    std::printf("%5lld ms %9zu %11.0f %11.0f %7.2f %11.0f %7.2f\n", static_cast<long long>(distance.count()), in_flight,
                median(reference), median(different), median_ratio(different, reference), median(one),
                median_ratio(one, reference));
    std::fflush(stdout);
}

}  // namespace

void bench_redis_distance(std::string const& port, int repetitions) {
    std::puts("             redis-benchmark, the store, claims/s:");
    std::puts("distance  in flight       SET/s   different    /SET  of one key   /SET");
    for (auto const distance : {0ms, 1ms, 3ms}) {
        for (std::size_t const in_flight : {16U, 64U, 256U}) compare(port, distance, in_flight, repetitions);
    }
}
