// SPDX-License-Identifier: MIT

// How a memory store grows: bytes a record, and the time of a claim, as it fills. docs/benchmarks.md has the results.

#include "support/resident_memory.hpp"

#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <vector>

namespace {

using idempo::tests::resident_bytes;

using std::chrono::nanoseconds;

/// The processor's time and not the wall's, since others may want the processor, too.
nanoseconds cpu_time() {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return std::chrono::seconds(spent.tv_sec) + nanoseconds(spent.tv_nsec);
}

/// A mixed number for each 8 bytes of a key: as evenly spread as a hash, and made in no time beside a claim.
class key_series {
public:
    static idempo::store_key key(std::uint64_t number) {
        idempo::store_key made;
        for (std::size_t at = 0; at < made.bytes.size(); at += sizeof number) {
            std::uint64_t const word = mix(number * 4 + at / sizeof number);
            std::memcpy(made.bytes.data() + at, &word, sizeof word);
        }
        return made;
    }

    /// Splitmix64: no two inputs have the same output.
    static std::uint64_t mix(std::uint64_t word) {
        word += 0x9e3779b97f4a7c15U;
        word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
        word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
        return word ^ (word >> 31U);
    }
};

double each(nanoseconds span, std::size_t count) {
    return static_cast<double>(span.count()) / static_cast<double>(count);
}

class growth {
public:
    growth(std::size_t most, std::size_t record_bytes)
        : store_({.max_records = most + 1,
                  .max_bytes = most * (idempo::memory_store::record_overhead + record_bytes) * 2}),
          record_(std::string(record_bytes, 'r')) {}

    /// Claims and completes new keys until there are so many, and prints what that took.
    void fill_to(std::size_t records) {
        std::size_t const added = records - count_;
        nanoseconds claiming{};
        nanoseconds completing{};
        while (count_ < records) {
            auto const batch = make_batch(std::min<std::size_t>(1000, records - count_));
            auto const begun = cpu_time();
            for (auto const& claim : batch) std::ignore = store_.claim(claim, error_);
            auto const claimed = cpu_time();
            for (auto const& claim : batch) complete(claim);
            completing += cpu_time() - claimed;
            claiming += claimed - begun;
            count_ += batch.size();
        }
        auto const own = store_.size() * record_.size();
        auto const overhead = static_cast<double>(resident_bytes() - before_ - own) / static_cast<double>(records);
        std::printf("| %zu | %.0f | %.0f | %.0f | %.0f | %.0f |\n", records, overhead, each(claiming, added),
                    each(completing, added), time_of_replays(), static_cast<double>(resident_bytes()) / 1e6);
        std::fflush(stdout);
        if (error_ || store_.size() != records) throw std::runtime_error("the store did not take all records");
    }

private:
    [[nodiscard]] std::vector<idempo::claim_request> make_batch(std::size_t size) const {
        std::vector<idempo::claim_request> batch(size);
        for (std::size_t i = 0; i < size; ++i) {
            batch[i].key = key_series::key(count_ + i);
            batch[i].lease = batch[i].retention = std::chrono::hours{24};
        }
        return batch;
    }

    /// With bytes of its own, as each response has.
    void complete(idempo::claim_request const& claim) {
        idempo::shared_bytes const copy(record_.view());
        std::ignore =
            store_.complete({claim.key, claim.fingerprint, claim.fencing_token, copy, claim.retention}, error_);
    }

    /// Claims of completed keys, all over the store.
    double time_of_replays() {
        for (std::size_t i = 0; i < replays_.size(); ++i) {
            replays_[i].key = key_series::key(key_series::mix(i) % count_);
            replays_[i].fencing_token.bytes.fill(1);
        }
        auto const begun = cpu_time();
        for (auto const& claim : replays_) std::ignore = store_.claim(claim, error_);
        return each(cpu_time() - begun, replays_.size());
    }

    /// Made before the memory is looked at, which is not the store's.
    std::vector<idempo::claim_request> replays_ = std::vector<idempo::claim_request>(200'000);
    std::size_t before_ = resident_bytes();
    idempo::memory_store store_;
    idempo::shared_bytes record_;
    idempo::error_code error_;
    std::size_t count_ = 0;
};

}  // namespace

int main(int argument_count, char** arguments) {
    std::size_t most = 10'000'000;
    if (argument_count > 1) {
        std::string_view const text = arguments[1];
        auto const parsed = std::from_chars(text.data(), text.data() + text.size(), most);
        if (argument_count > 2 || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || most < 10) {
            std::cerr << "usage: memory_growth [RECORDS]\n";
            return 2;
        }
    }
    try {
        constexpr std::size_t record_bytes = 256;
        growth store(most, record_bytes);
        std::printf("| records | bytes a record beyond its own %zu | claim of a new key, ns | its Complete, ns |"
                    " claim of a completed key, ns | resident MB |\n|---|---|---|---|---|---|\n",
                    record_bytes);
        for (auto const part : {100U, 50U, 10U, 5U, 2U, 1U}) store.fill_to(most / part);
        return 0;
    } catch (std::exception const& error) {
        std::cerr << "memory_growth: " << error.what() << '\n';
        return 1;
    }
}
