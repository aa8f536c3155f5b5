// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/race.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

/// \file
/// Checks of several threads that use one key at once.

namespace idempo::testing {

inline constexpr std::size_t racing_threads = 8;
inline constexpr int race_rounds = 40;

/// The answers to simultaneous claims of these rivals.
template <store Store>
std::vector<claim_result> race_to_claim(std::vector<claimer<Store>>& rivals) {
    return race(rivals.size(), [&](std::size_t i) { return rivals[i].claim(); });
}

/// One claim is granted, as this attempt, and all others find the record in flight.
template <store_fixture F>
void expect_one_winner(scene<F>& scene, std::vector<claim_result> const& answers, unsigned attempt) {
    std::size_t wins = 0;
    std::size_t losses = 0;
    for (auto const& answer : answers) {
        auto const* const grant = std::get_if<granted>(&answer);
        wins += grant != nullptr && grant->attempt == attempt;
        losses += std::holds_alternative<in_flight>(answer);
    }
    if (wins == 1 && losses + 1 == answers.size()) return;
    std::string found = "one rival wins as attempt " + std::to_string(attempt) + ", the others are in_flight; not:";
    for (auto const& answer : answers) found += ' ' + describe(answer) + ';';
    scene.expect(false, found);
}

template <store_fixture F>
void one_of_concurrent_claims_is_granted(scene<F>& scene) {
    for (int round = 0; round < race_rounds; ++round) {
        scene.change_key();
        std::vector<claimer<fixture_store<F>>> rivals;
        for (std::size_t i = 0; i < racing_threads; ++i) rivals.push_back(scene.rival());
        expect_one_winner(scene, race_to_claim(rivals), 1);
    }
}

template <store_fixture F>
void one_of_concurrent_claims_takes_over(scene<F>& scene) {
    std::vector<std::vector<claimer<fixture_store<F>>>> rounds(race_rounds);
    for (auto& rivals : rounds) {
        scene.change_key();
        scene.rival(1).claim();
        for (std::size_t i = 0; i < racing_threads; ++i) rivals.push_back(scene.rival());
    }
    scene.advance(2);
    for (auto& rivals : rounds) expect_one_winner(scene, race_to_claim(rivals), 2);
}

/// Without a record, each completes with its own response, and all learn which one is stored.
template <store_fixture F>
void one_of_concurrent_completes_is_stored(scene<F>& scene) {
    for (int round = 0; round < race_rounds; ++round) {
        scene.change_key();
        std::vector<claimer<fixture_store<F>>> rivals;
        for (std::size_t i = 0; i < racing_threads; ++i) rivals.push_back(scene.rival());
        auto const answers =
            race(rivals.size(), [&](std::size_t i) { return rivals[i].complete(rivals[i].fencing_token.view()); });
        auto const stored = scene.template expect<completed>(scene.rival().claim(), "a claim after Completes").record;
        for (std::size_t i = 0; i < rivals.size(); ++i) {
            if (rivals[i].fencing_token.view() == stored.view()) {
                scene.template expect<done>(answers[i], "Complete by the fencing token whose response is stored");
            } else {
                scene.expect_completed(answers[i], stored.view(), "Complete by a fencing token that came too late");
            }
        }
    }
}

}  // namespace idempo::testing
