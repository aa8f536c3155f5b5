// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/history.hpp>
#include <idempo/testing/race.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// \file
/// Random operations of several threads on a few keys; `linearize` then checks their answers.

namespace idempo::testing {

/// One thread's part of the random history. It lives through all phases and remembers its tokens.
template <store_fixture F>
class random_party {
public:
    using store_type = fixture_store<F>;
    using history = std::map<store_key, std::vector<past_operation>>;

    random_party(scene<F>& scene, std::vector<store_key> const& keys, std::uint64_t seed)
        : long_lease_(scene.units(scene.very_long)),
          short_lease_(scene.units(1)),
          random_(seed) {
        for (auto const& key : keys) {
            tokens_.push_back(scene.rival());
            tokens_.back().key = key;
        }
    }

    /// Runs `count` operations.
    history run(std::size_t count, unsigned phase, std::atomic<std::uint64_t>& clock) {
        history past;
        for (std::size_t i = 0; i < count; ++i) {
            auto& by = tokens_[random_() % tokens_.size()];
            auto operation = choose(by);
            operation.phase = phase;
            operation.began = clock++;
            perform(by, operation);
            operation.returned = clock++;
            past[by.key].push_back(std::move(operation));
        }
        return past;
    }

private:
    bool in_100(unsigned share) { return random_() % 100 < share; }

    past_operation choose(claimer<store_type>& by) {
        past_operation operation;
        auto const roll = random_() % 100;
        if (roll < 5) {
            operation.what = past_operation::kind::complete;
            operation.bytes = std::to_string(random_());
        } else if (roll < 20) {
            operation.what = past_operation::kind::abandon;
        } else if (roll < 35 && renewable_store<store_type>) {
            operation.what = past_operation::kind::renew;
        } else if (in_100(70)) {
            by.fencing_token = make_fencing_token();
            by.fingerprint.bytes[0] = in_100(90) ? 1 : 2;
        }
        operation.fencing_token = by.fencing_token;
        operation.fingerprint = by.fingerprint;
        operation.has_long_lease = in_100(30);
        operation.take_over = in_100(85);
        return operation;
    }

    void perform(claimer<store_type>& by, past_operation& operation) {
        by.lease = operation.has_long_lease ? long_lease_ : short_lease_;
        switch (operation.what) {
        case past_operation::kind::claim: operation.answer = by.claim(operation.take_over); break;
        case past_operation::kind::complete: operation.answer = by.complete(operation.bytes); break;
        case past_operation::kind::abandon: by.abandon(); break;
        case past_operation::kind::renew:
            if constexpr (renewable_store<store_type>) operation.answer = by.renew(by.lease);
            break;
        }
    }

    std::chrono::milliseconds long_lease_;
    std::chrono::milliseconds short_lease_;
    std::mt19937_64 random_;
    std::vector<claimer<store_type>> tokens_;
};

/// How often each interesting thing happened; a history without them would prove nothing.
struct tally {
    std::size_t grants = 0;
    std::size_t conflicts = 0;
    std::size_t replays = 0;
    std::size_t takeovers = 0;

    void count(past_operation const& operation) {
        auto const* const answer = std::get_if<claim_result>(&operation.answer);
        if (answer == nullptr) return;
        conflicts += std::holds_alternative<in_flight>(*answer);
        replays += std::holds_alternative<completed>(*answer);
        if (auto const* const grant = std::get_if<granted>(answer)) {
            ++grants;
            takeovers += grant->attempt > 1;
        }
    }

    [[nodiscard]] bool suffices() const {
        return grants >= 200 && conflicts >= 200 && replays >= 100 && takeovers >= 50;
    }
};

/// Three keys, four threads, and the possible records under each key.
template <store_fixture F>
class random_group {
public:
    random_group(scene<F>& scene, std::uint64_t seed) {
        std::vector<store_key> keys(3);
        for (auto& key : keys) {
            key = unused_key();
            records_[key] = {model_record{}};
        }
        for (std::uint64_t thread = 0; thread < 4; ++thread) parties_.emplace_back(scene, keys, 4 * seed + thread);
    }

    /// A burst of operations. Reports to `scene` if nothing explains their answers.
    void run(scene<F>& scene, unsigned phase, tally& counts) {
        constexpr std::size_t operations = 12;
        std::atomic<std::uint64_t> clock{0};
        auto const pasts =
            race(parties_.size(), [&](std::size_t i) { return parties_[i].run(operations, phase, clock); });
        for (auto& [key, possible] : records_) {
            std::vector<past_operation> operations_of_key;
            for (auto const& past : pasts) {
                auto const found = past.find(key);
                if (found == past.end()) continue;
                operations_of_key.insert(operations_of_key.end(), found->second.begin(), found->second.end());
            }
            for (auto const& operation : operations_of_key) counts.count(operation);
            if (possible.empty()) continue;  // reported before
            possible = linearize(possible, operations_of_key);
            scene.expect(!possible.empty(), "no order of the operations explains their answers (phase " +
                                                std::to_string(phase) + ", seed " + std::to_string(scene.seed()) + ")");
        }
    }

private:
    std::vector<random_party<F>> parties_;
    std::map<store_key, std::set<model_record>> records_;
};

template <store_fixture F>
void a_random_history_is_linearizable(scene<F>& scene) {
    std::mt19937_64 seeds(scene.seed());
    constexpr std::size_t count = 30;
    std::vector<random_group<F>> groups;
    groups.reserve(count);
    while (groups.size() < count) groups.emplace_back(scene, seeds());
    tally counts;
    for (unsigned phase = 0; phase < 4; ++phase) {
        for (auto& group : groups) group.run(scene, phase, counts);
        scene.advance(2);
    }
    scene.expect(counts.suffices(),
                 "the history was too poor to prove anything: " + std::to_string(counts.grants) + " grants, " +
                     std::to_string(counts.conflicts) + " conflicts, " + std::to_string(counts.replays) + " replays, " +
                     std::to_string(counts.takeovers) + " takeovers, seed " + std::to_string(scene.seed()));
}

}  // namespace idempo::testing
