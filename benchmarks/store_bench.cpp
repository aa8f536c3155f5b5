// Claims and replays a second of the Redis store, beside redis-benchmark with the claim script, interleaved in one run.
// docs/redis.md has results and the command.
//
//     store_bench <port of a redis-server> [repetitions]

#include "redis/redis_record.hpp"
#include "redis/script.hpp"

#include <idempo/redis_store.hpp>
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

constexpr std::size_t operations = 100'000;

double per_second(std::size_t count, clock_type::duration time) {
    return static_cast<double>(count) / std::chrono::duration<double>(time).count();
}

idempo::claim_request new_claim() {
    idempo::claim_request claim{{}, {{1}}, idempo::make_token(), 30s, 1h, true};
    auto const random = idempo::make_token();
    std::copy(random.bytes.begin(), random.bytes.end(), claim.key.bytes.begin());
    return claim;
}

/// Keeps so many claims in flight until `operations` are answered: each answer starts the next claim.
class claim_load {
public:
    claim_load(idempo::redis_store& store, std::vector<idempo::claim_request> const& claims)
        : store_(store),
          claims_(claims) {}

    double run(boost::asio::io_context& context, std::size_t in_flight) {
        auto const start = clock_type::now();
        while (started_ < in_flight) begin_next();
        while (answered_ < operations) context.run_one();
        return per_second(operations, clock_type::now() - start);
    }

private:
    void begin_next() {
        store_.async_claim(claims_[started_++ % claims_.size()],
                           [this](idempo::error_code error, idempo::claim_result const&) {
                               if (error) throw std::runtime_error(error.message());
                               ++answered_;
                               if (started_ < operations) begin_next();
                           });
    }

    idempo::redis_store& store_;
    std::vector<idempo::claim_request> const& claims_;
    std::size_t started_ = 0;
    std::size_t answered_ = 0;
};

double store_claims(std::string const& port, std::size_t in_flight, bool replays) {
    boost::asio::io_context context(1);
    idempo::redis_options options;
    options.port = static_cast<std::uint16_t>(std::stoi(port));
    options.max_pending = 2 * operations;
    idempo::redis_store store(context.get_executor(), options);

    std::vector<idempo::claim_request> claims(replays ? 1000 : operations);
    for (auto& claim : claims) claim = new_claim();
    std::size_t prepared = 0;
    auto const count = [&](idempo::error_code error) {
        if (error) throw std::runtime_error(error.message());
        ++prepared;
    };
    for (std::size_t i = 0; i < (replays ? claims.size() : 1); ++i) {
        auto const& claim = replays ? claims[i] : new_claim();
        store.async_complete(
            {claim.key, claim.fingerprint, claim.token, idempo::shared_bytes(std::string(200, 'r')), 1h},
            [&](idempo::error_code error, idempo::complete_result const&) { count(error); });
    }
    while (prepared < (replays ? claims.size() : 1)) context.run_one();
    if (replays) {
        for (auto& claim : claims) claim.token = idempo::make_token();
    }
    return claim_load(store, claims).run(context, in_flight);
}

/// The second claim finds the first one in flight, which takes the script.
void load_script(std::string const& port) {
    boost::asio::io_context context(1);
    idempo::redis_options options;
    options.port = static_cast<std::uint16_t>(std::stoi(port));
    idempo::redis_store store(context.get_executor(), options);
    auto claim = new_claim();
    int answered = 0;
    for (int i = 0; i < 2; ++i) {
        claim.token = idempo::make_token();
        store.async_claim(claim, [&](idempo::error_code, idempo::claim_result const&) { ++answered; });
    }
    while (answered < 2) context.run_one();
}

std::string output_of(std::string const& command) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> part{};
    while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) output += part.data();
    return output;
}

/// The same script with keys of their own, as redis-benchmark sends it.
double benchmark_claims(std::string const& port, std::string const& arguments) {
    auto const run = std::to_string(clock_type::now().time_since_epoch().count());
    // A command line cannot hold a record's bytes; the script reads none of them where there is no record yet.
    auto const filler = std::string(idempo::redis::header_size, 'x');
    auto const command = "redis-benchmark -p " + port + " -n " + std::to_string(operations) + " " + arguments +
                         " -r 100000000 --csv EVALSHA " + std::string(idempo::redis::scripts::claim.sha1) +
                         " 1 idempo:" + run + ":00000000000000000000000000000000__rand_int__ " + filler +
                         " 3630000 1 2>/dev/null | tail -1 | cut -d'\"' -f4";
    return std::strtod(output_of(command).c_str(), nullptr);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct comparison {
    std::size_t in_flight;
    std::string reference;
};

void compare(std::string const& port, comparison const& what, int repetitions) {
    std::vector<double> ours;
    std::vector<double> replays;
    std::vector<double> theirs;
    std::vector<double> ratios;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        ours.push_back(store_claims(port, what.in_flight, false));
        theirs.push_back(benchmark_claims(port, what.reference));
        replays.push_back(store_claims(port, what.in_flight, true));
        ratios.push_back(ours.back() / theirs.back());
        output_of("redis-cli -p " + port + " flushall");
    }
    std::printf("%9zu  %10.0f  %10.0f  %-16s %10.0f  %5.2f\n", what.in_flight, median(ours), median(replays),
                what.reference.c_str(), median(theirs), median(ratios));
    std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        std::fputs("usage: store_bench <port of a redis-server> [repetitions]\n", stderr);
        return 2;
    }
    std::string const port = arguments[1];
    int const repetitions = count > 2 ? std::atoi(arguments[2]) : 7;
    load_script(port);
    std::puts("in flight    claims/s   replays/s  redis-benchmark   claims/s  ratio");
    for (auto const& each : std::vector<comparison>{
             {1, "-c 1 -P 1"}, {16, "-c 1 -P 16"}, {64, "-c 1 -P 64"}, {64, "-c 50 -P 1"}, {256, "-c 1 -P 256"}}) {
        compare(port, each, repetitions);
    }
}
