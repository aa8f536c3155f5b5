// SPDX-License-Identifier: MIT

// Claims and replays a second of the Redis store, beside redis-benchmark with the claim script, in turns within one
// run. docs/benchmarks.md has the results and the command.
//
//     store_bench redis <port of a redis-server that holds nothing else>

#include "store_bench/claim_load.hpp"
#include <idempo/redis/operations/record.hpp>
#include <idempo/redis/operations/script.hpp>

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

/// What is compared: so many claims in flight, and redis-benchmark with these arguments.
struct comparison {
    std::size_t in_flight;
    std::size_t operations;
    std::string reference;
};

enum class kind { claim, claim_by_script, replay };

/// Waits for as many answers as there are records.
void store_records(boost::asio::io_context& context, idempo::redis_store& store,
                   std::vector<idempo::claim_request> const& claims) {
    std::size_t stored = 0;
    for (auto const& claim : claims) {
        store.async_complete(
            {claim.key, claim.fingerprint, claim.fencing_token, idempo::shared_bytes(std::string(200, 'r')), 1h},
            [&](idempo::error_code error, idempo::complete_result const&) {
                if (error) throw std::runtime_error(error.message());
                ++stored;
            });
    }
    while (stored < claims.size()) context.run_one();
}

double store_rate(std::string const& port, comparison const& load, kind what) {
    boost::asio::io_context context(1);
    idempo::redis_options options;
    options.port = static_cast<std::uint16_t>(std::stoi(port));
    options.claim_by_script = what == kind::claim_by_script;
    idempo::redis_store store(context.get_executor(), options);

    std::vector<idempo::claim_request> claims(what == kind::replay ? 1000 : load.operations);
    for (auto& claim : claims) claim = new_claim();
    // One record in any case, so that the connection is there when the time begins.
    store_records(context, store, what == kind::replay ? claims : std::vector<idempo::claim_request>{new_claim()});
    for (auto& claim : claims) claim.fencing_token = idempo::make_fencing_token();
    return claim_load(store, claims).run(context, load.in_flight, load.operations);
}

/// What redis-benchmark makes of a command, with keys of their own as long as ours, and values of the size of ours.
double benchmark_rate(std::string const& port, comparison const& what, kind command) {
    auto const run = std::to_string(clock_type::now().time_since_epoch().count());
    auto const key = " idempo:" + run + ":00000000000000000000000000000000__rand_int__ ";
    // A command line cannot hold a record's bytes; the script reads none of them where there is no record yet.
    auto const value = std::string(idempo::redis::header_size, 'x');
    auto const words = command == kind::claim ? "SET" + key + value + " NX GET PX 3630000"
                                              : "EVALSHA " + std::string(idempo::redis::scripts::claim().sha1) + " 1" +
                                                    key + value + " 3630000 1 claim";
    auto const line = "redis-benchmark -p " + port + " -n " + std::to_string(what.operations) + " " + what.reference +
                      " -r 100000000 --csv " + words + " 2>/dev/null | tail -1 | cut -d'\"' -f4";
    auto const rate = std::strtod(output_of(line).c_str(), nullptr);
    if (rate <= 0) throw std::runtime_error("redis-benchmark says nothing; is it installed?");
    return rate;
}

/// One line of the table: each repetition measures all, one after the other, on an empty server.
void compare(std::string const& port, comparison const& what, int repetitions) {
    std::vector<double> script;
    std::vector<double> set;
    std::vector<double> claims;
    std::vector<double> script_claims;
    std::vector<double> replays;
    auto const empty = [&] { output_of("redis-cli -p " + port + " flushall"); };
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        empty();
        claims.push_back(store_rate(port, what, kind::claim));
        empty();
        script.push_back(benchmark_rate(port, what, kind::claim_by_script));
        empty();
        script_claims.push_back(store_rate(port, what, kind::claim_by_script));
        empty();
        set.push_back(benchmark_rate(port, what, kind::claim));
        empty();
        replays.push_back(store_rate(port, what, kind::replay));
    }
    std::printf("%9zu  %-12s %9.0f %9.0f %10.0f %7.2f %7.2f %10.0f %7.2f %10.0f\n", what.in_flight,
                what.reference.c_str(), median(script), median(set), median(claims), median_ratio(claims, script),
                median_ratio(claims, set), median(script_claims), median_ratio(script_claims, script), median(replays));
    std::fflush(stdout);
}

}  // namespace

void bench_redis(std::string const& port, int repetitions, std::size_t only_in_flight) {
    store_rate(port, {1, 1, ""}, kind::claim_by_script);  // the server knows the script from now on
    std::puts("            redis-benchmark:                 the store:");
    std::puts("in flight   with       script/s     SET/s   claims/s /script    /SET  by script /script  replays/s");
    for (auto const& each : std::vector<comparison>{{1, 20'000, "-c 1 -P 1"},
                                                    {16, 200'000, "-c 1 -P 16"},
                                                    {64, 200'000, "-c 1 -P 64"},
                                                    {64, 100'000, "-c 50 -P 1"},
                                                    {256, 200'000, "-c 1 -P 256"}}) {
        if (only_in_flight == 0 || only_in_flight == each.in_flight) compare(port, each, repetitions);
    }
}
