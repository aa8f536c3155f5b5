// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

/// \file
/// Checks of Claim, Complete and Abandon without passing time. Each is one line of the contract.

namespace idempo::testing {

template <store_fixture F>
void claim_of_a_new_key(scene<F>& scene) {
    scene.expect_granted(scene.rival().claim(), 1, "the first claim");
    scene.change_key();
    scene.expect_granted(scene.rival().claim(false), 1, "the first claim, asking not to take over");
}

template <store_fixture F>
void claim_in_flight(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    for (bool const take_over : {true, false}) {
        auto const answer = scene.template expect<in_flight>(scene.rival().claim(take_over), "a rival's claim");
        scene.expect(answer.lease_remaining.count() > 0, "the remaining lease of a record in flight is positive");
        scene.expect(answer.lease_remaining <= holder.lease, "the remaining lease is no longer than the lease");
    }
    scene.expect(std::holds_alternative<done>(holder.complete("first")), "the holder is not disturbed by rivals");
}

template <store_fixture F>
void claim_retried(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.expect_granted(holder.claim(), 1, "the second claim with one fencing token");
    scene.rival().claim();
    scene.expect_granted(holder.claim(false), 1, "a claim with the holder's fencing token after a rival's");
    scene.template expect<in_flight>(scene.rival().claim(), "a rival's claim after the holder's second");
    holder.complete("first");
    scene.expect_completed(holder.claim(), "first", "a claim with the fencing token that completed the record");
}

template <store_fixture F>
void claim_with_another_fingerprint(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint while in flight");
    scene.template expect<mismatch>(scene.stranger().claim(false), "the same, asking not to take over");
    holder.complete("first");
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after Complete");
    scene.expect_completed(scene.rival().claim(), "first", "the right fingerprint after that");
}

template <store_fixture F>
void claim_of_a_completed_record(scene<F>& scene) {
    std::string every_byte;
    for (int value = 0; value < 256; ++value) every_byte += static_cast<char>(value);
    for (std::string const& bytes : {std::string(), every_byte, std::string("\0x", 2), std::string(100'000, 'r')}) {
        scene.change_key();
        auto holder = scene.rival();
        holder.claim();
        scene.template expect<done>(holder.complete(bytes), "Complete by the holder");
        for (bool const take_over : {true, false}) {
            scene.expect_completed(scene.rival().claim(take_over), bytes, "a claim of the completed record");
        }
    }
}

template <store_fixture F>
void complete_by_another_token(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.template expect<in_flight>(scene.rival().complete("stolen"), "Complete by a rival while in flight");
    scene.template expect<mismatch>(scene.stranger().complete("stolen"), "Complete by a stranger while in flight");
    scene.template expect<in_flight>(scene.rival().claim(), "a claim after these");
    scene.template expect<done>(holder.complete("first"), "Complete by the holder");
    scene.expect_completed(scene.rival().complete("stolen"), "first", "Complete by a rival after the holder's");
    scene.template expect<mismatch>(scene.stranger().complete("stolen"), "Complete by a stranger after the holder's");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after these");
}

template <store_fixture F>
void complete_retried(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.template expect<done>(holder.complete("first"), "the first Complete");
    scene.template expect<done>(holder.complete("first"), "the second Complete with one fencing token");
    scene.template expect<done>(holder.complete("other"), "a third with other bytes");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after these");
}

template <store_fixture F>
void complete_of_an_absent_record(scene<F>& scene) {
    auto late = scene.rival();
    scene.template expect<done>(late.complete("first"), "Complete where there is no record");
    scene.template expect<done>(late.complete("first"), "the same again");
    scene.expect_completed(scene.rival().complete("second"), "first", "Complete by a rival after that");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after that");
}

template <store_fixture F>
void abandon_by_the_holder_only(scene<F>& scene) {
    auto first = scene.rival();
    auto second = scene.rival();
    first.abandon();
    first.claim();
    second.abandon();
    scene.template expect<in_flight>(second.claim(), "a claim after Abandon by a rival");
    first.abandon();
    scene.expect_granted(second.claim(), 1, "a claim after Abandon by the holder");
    first.abandon();
    scene.template expect<in_flight>(first.claim(),
                                     "a claim after Abandon by the fencing token that has abandoned before");
    second.complete("first");
    second.abandon();
    scene.expect_completed(scene.rival().claim(), "first", "a claim after Abandon of a completed record");
}

template <store_fixture F>
void keys_are_apart(scene<F>& scene) {
    std::vector<claimer<fixture_store<F>>> holders;
    for (std::size_t byte = 0; byte < scene.key().bytes.size(); ++byte) {
        auto& holder = holders.emplace_back(scene.rival());
        holder.key.bytes[byte] ^= 1;
        scene.expect_granted(holder.claim(), 1, "a key that differs in byte " + std::to_string(byte));
    }
    for (auto& holder : holders) {
        scene.template expect<done>(holder.complete(holder.key.view()), "Complete of one of many keys");
    }
    for (auto& holder : holders) scene.expect_completed(holder.claim(), holder.key.view(), "one of many keys");
    scene.expect_granted(scene.rival().claim(), 1, "the key from which all differ");
}

template <store_fixture F>
void copies_share_the_records(scene<F>& scene) {
    auto holder = scene.rival();
    auto rival = holder;  // and its store with it
    rival.fencing_token = make_fencing_token();
    holder.claim();
    scene.template expect<in_flight>(rival.claim(), "a claim by a copy of the store");
    holder.complete("first");
    scene.expect_completed(rival.claim(), "first", "a claim by a copy after Complete");
}

template <store_fixture F>
void operations_run_in_order(scene<F>& scene) {
    for (int round = 0; round < 100; ++round) {
        auto holder = scene.rival();
        scene.expect_granted(holder.claim(), 1, "a claim right after Abandon");
        scene.template expect<in_flight>(scene.rival().claim(), "a rival right after the claim");
        holder.abandon();
    }
    auto last = scene.rival();
    last.claim();
    last.complete("first");
    scene.expect_completed(scene.rival().claim(), "first", "a claim right after Complete");
}

template <store_fixture F>
void operations_do_not_wait_for_the_holder(scene<F>& scene) {
    auto const start = std::chrono::steady_clock::now();
    auto holder = scene.rival();
    holder.claim();
    scene.rival().claim();
    scene.rival().complete("stolen");
    scene.rival().abandon();
    auto const elapsed = std::chrono::steady_clock::now() - start;
    scene.expect(elapsed < scene.units(10), "operations under a key that another fencing token holds took too long");
}

}  // namespace idempo::testing
