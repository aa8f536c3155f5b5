// SPDX-License-Identifier: MIT

// Whether a memory store gives back what expires. Two threads make records of up to 4 KiB, which live for a second.
// Calm times and floods take turns, and at the end of each calm the process must not hold a tenth more than at the end
// of the first one. Larger answers are left out: they are in the heap, which keeps what it has had.

#include "support/resident_memory.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace {

using idempo::tests::resident_bytes;

using std::chrono::milliseconds;
using std::chrono::seconds;
using clock_type = std::chrono::steady_clock;

constexpr milliseconds retention{1000};
constexpr seconds calm_time{6};
constexpr seconds flood_time{3};
constexpr std::size_t threads = 2;
constexpr std::size_t requests_in_batch = 100;
/// Of each thread: 10,000 requests a second when calm, and three times as many in a flood.
constexpr std::chrono::microseconds calm_pause{10'000};
constexpr std::chrono::microseconds flood_pause{3'333};

struct counts {
    std::atomic<std::uint64_t> completed{0};
    std::atomic<std::uint64_t> abandoned{0};
    std::atomic<std::uint64_t> replayed{0};
    std::atomic<std::uint64_t> failed{0};
};

/// Most answers are small, and the others a page.
std::size_t size_of_answer(std::mt19937_64& random) {
    return random() % 10 < 7 ? 200 + random() % 600 : 1'000 + random() % 2'900;
}

class client {
public:
    client(idempo::memory_store store, counts& told, std::uint64_t seed)
        : store_(std::move(store)),
          told_(told),
          random_(seed) {}

    void send_batch() {
        for (std::size_t sent = 0; sent < requests_in_batch; ++sent) send();
    }

private:
    /// One in twenty is abandoned, and one in four comes again.
    void send() {
        idempo::claim_request claim;
        for (auto& byte : claim.key.bytes) byte = static_cast<unsigned char>(random_());
        claim.fencing_token = idempo::make_fencing_token();
        claim.lease = seconds{1};
        claim.retention = retention;
        idempo::error_code error;
        if (!std::holds_alternative<idempo::granted>(store_.claim(claim, error))) return fail();
        if (random_() % 20 == 0) {
            store_.abandon(claim.key, claim.fencing_token, error);
            ++told_.abandoned;
            return;
        }
        idempo::shared_bytes const answer(size_of_answer(random_), [](char* to) { *to = 'r'; });
        auto const stored =
            store_.complete({claim.key, claim.fingerprint, claim.fencing_token, answer, retention}, error);
        if (!std::holds_alternative<idempo::done>(stored)) return fail();
        ++told_.completed;
        if (random_() % 4 != 0) return;
        claim.fencing_token = idempo::make_fencing_token();
        // It may have expired, on a machine that was asleep.
        if (std::holds_alternative<idempo::completed>(store_.claim(claim, error))) ++told_.replayed;
    }

    void fail() { ++told_.failed; }

    idempo::memory_store store_;
    counts& told_;
    std::mt19937_64 random_;
};

/// Sends at the rate of the calm or of the flood until it is told to stop.
void run(client sender, std::atomic<bool> const& is_flood, std::atomic<bool> const& is_over) {
    auto next = clock_type::now();
    while (!is_over) {
        sender.send_batch();
        next = std::max(next + (is_flood ? flood_pause : calm_pause), clock_type::now() - milliseconds{100});
        std::this_thread::sleep_until(next);
    }
}

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e6; }

/// What the memory was at the end of each calm time, and at the end of each flood.
struct levels {
    std::vector<std::size_t> calm;
    std::vector<std::size_t> flood;
    /// What the store counted at the end of each calm time: a busy machine may have made fewer records in the first.
    std::vector<std::size_t> counted;

    [[nodiscard]] bool came_back() const {
        for (std::size_t each = 0; each < calm.size(); ++each) {
            auto const more = static_cast<double>(counted[each]) / static_cast<double>(counted.front());
            if (static_cast<double>(calm[each]) > 1.1 * std::max(1.0, more) * static_cast<double>(calm.front()))
                return false;
        }
        return true;
    }
};

levels soak(idempo::memory_store const& store, counts& told, std::size_t cycles) {
    std::atomic<bool> is_flood{false};
    std::atomic<bool> is_over{false};
    std::vector<std::thread> running;
    for (std::size_t each = 0; each < threads; ++each) {
        running.emplace_back([&, each] { run(client(store, told, each), is_flood, is_over); });
    }
    levels found;
    for (std::size_t cycle = 0;; ++cycle) {
        std::this_thread::sleep_for(calm_time);
        found.calm.push_back(resident_bytes());
        found.counted.push_back(store.bytes());
        if (cycle == cycles) break;
        is_flood = true;
        std::this_thread::sleep_for(flood_time);
        found.flood.push_back(resident_bytes());
        is_flood = false;
    }
    is_over = true;
    for (auto& thread : running) thread.join();
    return found;
}

}  // namespace

int main(int argument_count, char** arguments) {
    std::size_t length = 1800;
    if (argument_count > 1) {
        std::string_view const text = arguments[1];
        auto const parsed = std::from_chars(text.data(), text.data() + text.size(), length);
        if (argument_count > 2 || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
            std::cerr << "usage: memory_soak [SECONDS]\n";
            return 2;
        }
    }
    auto const cycles = std::max<std::size_t>(1, length / static_cast<std::size_t>((calm_time + flood_time).count()));
    counts told;
    auto const found = soak(idempo::memory_store(), told, cycles);
    auto const [lowest, highest] = std::minmax_element(found.calm.begin(), found.calm.end());
    std::printf("%llu records completed, %llu abandoned, %llu replayed, %llu failed; %zu floods\n",
                static_cast<unsigned long long>(told.completed), static_cast<unsigned long long>(told.abandoned),
                static_cast<unsigned long long>(told.replayed), static_cast<unsigned long long>(told.failed), cycles);
    std::printf("resident MB when calm: first %.1f, lowest %.1f, highest %.1f, last %.1f; in a flood at most %.1f\n",
                megabytes(found.calm.front()), megabytes(*lowest), megabytes(*highest), megabytes(found.calm.back()),
                megabytes(*std::max_element(found.flood.begin(), found.flood.end())));
    bool const came_back = found.came_back();
    if (!came_back) std::puts("The memory did not come back to its first level.");
    if (told.failed > 0 || told.replayed == 0) std::puts("The store refused what it should have taken.");
    return came_back && told.failed == 0 && told.replayed > 0 ? 0 : 1;
}
