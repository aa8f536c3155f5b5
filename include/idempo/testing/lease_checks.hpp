// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

/// \file
/// Checks with passing time: leases, takeovers, retention and Renew. Each is one line of the contract.

namespace idempo::testing {

template <store_fixture F>
void takeover_of_an_ended_lease(scene<F>& scene) {
    scene.rival(1).claim();
    scene.advance(2);
    scene.expect_granted(scene.rival(1).claim(), 2, "a claim after the end of the lease");
    scene.advance(2);
    auto third = scene.rival();
    scene.expect_granted(third.claim(), 3, "a claim after the end of the second lease");
    scene.expect_granted(third.claim(), 3, "the same claim again");
    scene.template expect<in_flight>(scene.rival().claim(), "a claim during the third lease");
}

template <store_fixture F>
void takeover_needs_the_same_fingerprint(scene<F>& scene) {
    scene.rival(1).claim();
    scene.advance(2);
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after the end of the lease");
    scene.template expect<mismatch>(scene.stranger().claim(false), "the same, asking not to take over");
    scene.template expect<mismatch>(scene.stranger().complete("stolen"), "Complete with another fingerprint");
    scene.expect_granted(scene.rival().claim(), 2, "the right fingerprint after that");
}

template <store_fixture F>
void claim_without_takeover(scene<F>& scene) {
    auto holder = scene.rival(1);
    holder.claim();
    scene.advance(2);
    for (int repeat = 0; repeat < 2; ++repeat) {
        auto const found =
            scene.template expect<expired>(scene.rival().claim(false), "a claim asking not to take over");
        scene.expect(found.attempt == 1, "expired tells the attempt whose lease has ended");
    }
    scene.template expect<done>(holder.complete("first"), "Complete after claims that asked not to take over");
}

template <store_fixture F>
void claim_retried_after_the_lease(scene<F>& scene) {
    auto holder = scene.rival(1);
    holder.claim();
    scene.advance(2);
    scene.expect_granted(holder.claim(), 1, "the holder's claim again, its lease over and nobody else there");
}

template <store_fixture F>
void complete_needs_no_live_lease(scene<F>& scene) {
    auto holder = scene.rival(1);
    holder.claim();
    scene.advance(2);
    scene.template expect<done>(holder.complete("first"), "Complete after the end of the lease");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

template <store_fixture F>
void a_lost_token_does_nothing(scene<F>& scene) {
    auto loser = scene.rival(1);
    loser.claim();
    scene.advance(2);
    auto winner = scene.rival();
    winner.claim();
    scene.template expect<in_flight>(loser.complete("stale"), "Complete by the fencing token that lost to a takeover");
    loser.abandon();
    scene.template expect<in_flight>(loser.claim(), "a claim by that fencing token, after its Abandon");
    scene.template expect<done>(winner.complete("first"), "Complete by the fencing token that took over");
    scene.expect_completed(loser.complete("stale"), "first", "Complete by the fencing token that lost, after that");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

template <store_fixture F>
void an_abandoned_takeover_leaves_its_number(scene<F>& scene) {
    auto first = scene.rival(1);
    first.claim();
    scene.advance(2);
    auto second = scene.rival(1);
    scene.expect_granted(second.claim(), 2, "a takeover");
    second.abandon();
    auto third = scene.rival(1);
    scene.expect_granted(third.claim(), 2, "a claim after Abandon of the takeover");
    scene.template expect<in_flight>(second.complete("stale"), "Complete by the fencing token that has abandoned");
    third.abandon();
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after that");
}

template <store_fixture F>
void a_completed_record_has_no_lease(scene<F>& scene) {
    auto holder = scene.rival(1);
    holder.claim();
    holder.complete("first");
    scene.advance(2);
    scene.expect_completed(scene.rival().claim(), "first", "a claim after the end of the lease, but completed");
    scene.expect_completed(scene.rival().claim(false), "first", "the same, asking not to take over");
}

template <store_fixture F>
void a_record_in_flight_expires(scene<F>& scene) {
    auto holder = scene.rival(2, 2);
    holder.claim();
    scene.advance(3);
    scene.template expect<mismatch>(scene.stranger().claim(), "the lease over, the retention not");
    scene.advance(2);
    scene.expect_granted(scene.stranger().claim(), 1, "any fingerprint after lease and retention");
    scene.template expect<mismatch>(holder.complete("stale"), "Complete by the fencing token of the expired record");
}

template <store_fixture F>
void complete_restarts_the_retention(scene<F>& scene) {
    auto holder = scene.rival(2, 4);
    holder.claim();
    scene.advance(4);
    scene.template expect<done>(holder.complete("first"), "Complete two units before the record would expire");
    scene.advance(3);
    scene.expect_completed(scene.rival().claim(), "first", "three units after Complete, of a retention of four");
    scene.advance(2);
    scene.expect_granted(scene.stranger().claim(), 1, "any fingerprint after the retention");
}

template <store_fixture F>
void complete_of_an_expired_record(scene<F>& scene) {
    auto holder = scene.rival(1, 1);
    holder.claim();
    scene.advance(3);
    scene.template expect<done>(holder.complete("first"), "Complete when the record in flight has expired");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

template <store_fixture F>
    requires renewable_store<fixture_store<F>>
void renew_extends_lease_and_life(scene<F>& scene) {
    auto holder = scene.rival(4, 2);
    holder.claim();
    scene.advance(3);
    scene.expect(holder.renew(scene.units(4)), "Renew by the holder says that the record is still in flight");
    scene.advance(3);
    scene.template expect<in_flight>(scene.rival().claim(), "a claim after the first lease, during the second");
    scene.advance(2);
    scene.template expect<mismatch>(scene.stranger().claim(), "the renewed lease over, the retention not");
    scene.advance(2);
    scene.expect_granted(scene.stranger().claim(), 1, "any fingerprint after renewed lease and retention");
}

template <store_fixture F>
    requires renewable_store<fixture_store<F>>
void renew_of_an_ended_lease(scene<F>& scene) {
    auto holder = scene.rival(1);
    holder.claim();
    scene.advance(2);
    scene.expect(holder.renew(scene.units(scene.very_long)), "Renew when the lease had ended and nobody took over");
    scene.template expect<in_flight>(scene.rival().claim(), "a claim during the renewed lease");
}

template <store_fixture F>
    requires renewable_store<fixture_store<F>>
void renew_by_another_token(scene<F>& scene) {
    auto const span = scene.units(scene.very_long);
    scene.expect(!scene.rival().renew(span), "Renew says false where there is no record");
    auto loser = scene.rival(1);
    loser.claim();
    scene.expect(!scene.rival().renew(span), "Renew says false to a fencing token that does not hold the record");
    scene.advance(2);
    auto winner = scene.rival();
    scene.expect_granted(winner.claim(), 2, "a claim after the lease, which a rival tried to renew");
    scene.expect(!loser.renew(span), "Renew says false to a fencing token that lost its record");
    winner.complete("first");
    scene.expect(!winner.renew(span), "Renew says false when the record is completed");
}

template <store_fixture F>
    requires nonblocking_store<fixture_store<F>>
void no_lease_does_not_end(scene<F>& scene) {
    auto holder = scene.rival();
    holder.lease = no_lease;
    holder.claim();
    scene.advance(10);
    auto const answer = scene.template expect<in_flight>(scene.rival().claim(), "a claim of a record without lease");
    scene.expect(answer.lease_remaining.count() > 0, "the remaining lease of a record without lease is positive");
    scene.template expect<done>(holder.complete("first"), "Complete of a record without lease");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

}  // namespace idempo::testing
