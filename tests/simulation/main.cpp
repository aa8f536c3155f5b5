// SPDX-License-Identifier: MIT
#include "simulation/mutant.hpp"
#include "simulation/world.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace idempo::simulation;

constexpr std::string_view usage =
    R"(usage: simulation [--seeds N] [--from S] [--jobs J]   runs N worlds, from seed S on
       simulation --seed S                         one world, with its history
       simulation --mutants [--seeds N]            how soon each seeded bug is found
       simulation --twice [--seeds N]              whether N worlds are the same when they run again
       with --mutant NAME                          with that bug
       with --store memory|redis|postgresql
                                                                   only worlds with that store; else the seed decides
       with --trace FILE                           writes the traces of the processes, for check-trace
)";

struct arguments {
    std::uint64_t seeds = 200;
    std::uint64_t from = 1;
    unsigned jobs = 1;
    std::optional<std::uint64_t> seed{};
    mutant bug = mutant::none;
    std::optional<store_kind> store{};
    bool mutants = false;
    bool twice = false;
    std::string trace{};
};

struct failure {
    std::uint64_t seed = 0;
    violation found;
};

struct summary {
    counts counted;
    /// In the order of their seeds.
    std::vector<failure> failures;
};

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool const is_number = error == std::errc() && end == text.data() + text.size();
    return is_number ? std::optional(value) : std::nullopt;
}

std::optional<store_kind> store_named(std::string_view name) {
    if (name == "memory") return store_kind::memory;
    if (name == "redis") return store_kind::redis;
    if (name == "postgresql") return store_kind::postgresql;
    return std::nullopt;
}

std::optional<arguments> parse(std::vector<std::string_view> const& words) {
    arguments made;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--mutants") {
            made.mutants = true;
            continue;
        }
        if (words[i] == "--twice") {
            made.twice = true;
            continue;
        }
        if (i + 1 == words.size()) return std::nullopt;
        auto const value = words[i + 1];
        auto const count = number(value);
        if (words[i] == "--trace") {
            made.trace = words[++i];
            continue;
        }
        if (words[i] == "--mutant") {
            auto const bug = mutant_of(value);
            if (!bug) return std::nullopt;
            made.bug = *bug;
        } else if (words[i] == "--store") {
            made.store = store_named(value);
            if (!made.store) return std::nullopt;
        } else if (!count) {
            return std::nullopt;
        } else if (words[i] == "--seeds") {
            made.seeds = *count;
        } else if (words[i] == "--from") {
            made.from = *count;
        } else if (words[i] == "--seed") {
            made.seed = *count;
        } else if (words[i] == "--jobs") {
            made.jobs = static_cast<unsigned>(std::clamp<std::uint64_t>(*count, 1, 64));
        } else {
            return std::nullopt;
        }
        ++i;
    }
    if (!made.trace.empty()) made.jobs = 1;  // the lines of a world must stay together
    return made;
}

/// Worlds of consecutive seeds, in several threads. Ends at the first violation where that is all that is asked.
summary run_worlds(arguments const& asked, mutant bug, bool until_found) {
    summary sum;
    std::mutex mutex;
    std::atomic<std::uint64_t> next{asked.from};
    std::atomic<bool> is_over{false};
    std::ofstream trace_file;
    if (!asked.trace.empty()) trace_file.open(asked.trace);
    idempo::trace_sink trace;
    if (trace_file.is_open()) trace = [&](std::string_view lines) { trace_file << lines; };
    auto const work = [&] {
        while (!is_over) {
            auto const seed = next++;
            if (seed >= asked.from + asked.seeds) return;
            auto const made = run_world(seed, bug, nullptr, asked.store, trace);
            std::lock_guard const lock(mutex);
            for (auto const& [what, count] : made.counted) sum.counted[what] += count;
            if (!made.found) continue;
            sum.failures.push_back({seed, *made.found});
            if (until_found) is_over = true;
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < asked.jobs; ++i) threads.emplace_back(work);
    work();
    threads.clear();
    std::ranges::sort(sum.failures, {}, &failure::seed);
    return sum;
}

struct least_count {
    std::string_view what;
    std::uint64_t count;
    /// Of what only worlds with that store have; empty: all.
    std::optional<store_kind> only{};
};

/// Too little of these, and the run has shown nothing: at least so many in 200 worlds of all kinds.
constexpr std::array<least_count, 36> minimum{{
    {"executions", 400},
    {"effects", 300},
    {"takeovers", 20},
    {"fenced", 3},
    {"replayed", 200},
    {"in_flight", 200},
    {"lost answers", 15, store_kind::memory},
    {"lost requests", 15, store_kind::memory},
    {"doubled requests", 15, store_kind::memory},
    {"stalled answers", 15, store_kind::redis},
    {"stalled requests", 15, store_kind::redis},
    {"errors of Redis", 50, store_kind::redis},
    {"restarts of Redis", 1, store_kind::redis},
    {"failovers of Redis", 2, store_kind::redis},
    {"times that Redis was full", 1, store_kind::redis},
    {"times that Redis was a replica", 1, store_kind::redis},
    {"waits for a replica", 50, store_kind::redis},
    {"Redis: SET", 200, store_kind::redis},
    {"Redis: script claim", 200, store_kind::redis},
    {"Redis: script renew", 15, store_kind::redis},
    {"Redis: script fetch", 1, store_kind::redis},
    {"PostgreSQL: claims", 300, store_kind::postgresql},
    {"PostgreSQL: Completes", 50, store_kind::postgresql},
    {"PostgreSQL: statements of several rows", 8, store_kind::postgresql},
    {"PostgreSQL: statements of the sweeper", 100, store_kind::postgresql},
    {"PostgreSQL: questions for late processes", 8, store_kind::postgresql},
    {"errors of PostgreSQL", 20, store_kind::postgresql},
    {"deaths of PostgreSQL", 1, store_kind::postgresql},
    {"failovers of PostgreSQL", 2, store_kind::postgresql},
    {"times that PostgreSQL was a standby", 1, store_kind::postgresql},
    {"times that PostgreSQL had no slot", 10, store_kind::postgresql},
    {"deaths", 40},
    {"stops", 40},
    {"steps", 100},
    {"parked", 10},
    {"histories checked", 100},
}};

bool shows_enough(counts const& counted, std::uint64_t worlds, std::optional<store_kind> store) {
    bool enough = true;
    for (auto const& [what, least, only] : minimum) {
        if (store && only && store != only) continue;
        auto const found = counted.find(what);
        auto const count = found == counted.end() ? 0 : found->second;
        if (count * 200 >= least * worlds) continue;
        std::cout << "too few to show anything: " << what << ": " << count << '\n';
        enough = false;
    }
    return enough;
}

void print(failure const& each) {
    std::cout << "seed " << each.seed << ": \"" << each.found.check << "\": " << each.found.what << '\n';
}

int run_one(arguments const& asked) {
    auto const made = run_world(*asked.seed, asked.bug, &std::cout, asked.store);
    if (made.found) print({*asked.seed, *made.found});
    return made.found ? EXIT_FAILURE : EXIT_SUCCESS;
}

/// A failure is of use only where its seed shows it again.
int run_twice(arguments const& asked) {
    for (auto seed = asked.from; seed < asked.from + asked.seeds; ++seed) {
        std::array<std::ostringstream, 2> histories;
        for (auto& history : histories) static_cast<void>(run_world(seed, asked.bug, &history, asked.store));
        if (histories[0].str() == histories[1].str()) continue;
        std::cout << "seed " << seed << " has two histories\n";
        return EXIT_FAILURE;
    }
    std::cout << asked.seeds << " worlds, each the same again\n";
    return EXIT_SUCCESS;
}

int run_many(arguments const& asked) {
    auto const sum = run_worlds(asked, asked.bug, false);
    for (auto const& [what, count] : sum.counted) std::cout << what << ": " << count << '\n';
    std::cout << asked.seeds << " worlds, " << sum.failures.size() << " with violations\n";
    constexpr std::size_t most_printed = 20;
    for (auto const& each : sum.failures | std::views::take(most_printed)) print(each);
    if (!sum.failures.empty()) std::cout << "the history of one: --seed S\n";
    bool const is_poor = asked.seeds >= 200 && !shows_enough(sum.counted, asked.seeds, asked.store);
    return !sum.failures.empty() || is_poor ? EXIT_FAILURE : EXIT_SUCCESS;
}

/// The table of docs/simulation.md.
int run_mutants(arguments const& asked) {
    bool all_found = true;
    for (auto const& named : mutant_names) {
        auto const sum = run_worlds(asked, named.which, true);
        all_found = all_found && !sum.failures.empty();
        std::cout << "| `" << named.name << "` | ";
        if (!sum.failures.empty()) {
            std::cout << sum.failures.front().seed << " | " << sum.failures.front().found.check << " |" << std::endl;
        } else {
            std::cout << "not found | |" << std::endl;
        }
    }
    return all_found ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int count, char** words) {
    auto const asked = parse({words + 1, words + count});
    if (!asked || asked->seeds == 0) {
        std::cerr << usage;
        return EXIT_FAILURE;
    }
    if (asked->seed) return run_one(*asked);
    if (asked->twice) return run_twice(*asked);
    return asked->mutants ? run_mutants(*asked) : run_many(*asked);
}
