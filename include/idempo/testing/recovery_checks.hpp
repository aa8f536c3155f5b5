// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/operator_checks.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <optional>
#include <string>
#include <string_view>

/// \file
/// Checks of steps and of parked records. Each is one line of the contract.

namespace idempo::testing {

template <store_fixture F>
    requires checkpointing_store<fixture_store<F>>
void steps_are_told_to_later_attempts(scene<F>& scene) {
    std::string const first("a\0\xff", 3);
    auto holder = scene.rival(1);
    scene.expect_steps(holder.claim(), 1, "", "a first claim");
    scene.expect(holder.save_step(0, first), "save_step by the holder says that the step is kept");
    scene.expect_steps(holder.claim(), 1, first, "the same claim again");
    scene.expect(holder.save_step(first.size(), "b", 1), "the next step");
    scene.advance(2);
    scene.expect_steps(scene.rival(1).claim(), 2, first + "b", "a takeover");
    scene.advance(2);
    auto third = scene.rival();
    scene.expect_steps(third.claim(), 3, first + "b", "the next takeover");
    std::string const large(200'000, 's');
    scene.expect(third.save_step(first.size() + 1, large, 2), "a large step of a later attempt");
    scene.expect_steps(third.claim(), 3, first + "b" + large, "its claim again");
}

template <store_fixture F>
    requires checkpointing_store<fixture_store<F>>
void steps_by_the_holder_only(scene<F>& scene) {
    scene.expect(!scene.rival().save_step(0, "x"), "save_step says false where there is no record");
    auto loser = scene.rival(1);
    loser.claim();
    scene.expect(!scene.rival().save_step(0, "x"), "save_step says false to a rival");
    scene.advance(2);
    scene.expect(loser.save_step(0, "a"), "save_step when the lease had ended and nobody took over");
    auto winner = scene.rival();
    scene.expect_steps(winner.claim(), 2, "a", "the takeover after that");
    scene.expect(!loser.save_step(1, "x", 1), "save_step says false to a fencing token that lost its record");
    scene.expect_steps(winner.claim(), 2, "a", "a claim after these");
    winner.complete("first");
    scene.expect(!winner.save_step(1, "x", 1), "save_step says false when the record is completed");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

template <store_fixture F>
    requires checkpointing_store<fixture_store<F>>
void steps_retried(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.expect(holder.save_step(0, "a"), "the first step");
    scene.expect(holder.save_step(0, "a"), "the first step again");
    scene.expect(holder.save_step(1, "bc", 1), "the second step");
    scene.expect(holder.save_step(1, "bc", 1), "the second step again");
    scene.expect(holder.save_step(0, "a"), "the first step, late");
    scene.expect_steps(holder.claim(), 1, "abc", "a claim after these");
}

template <store_fixture F>
    requires checkpointing_store<fixture_store<F>>
void abandon_leaves_steps(scene<F>& scene) {
    auto first = scene.rival(1);
    first.claim();
    first.save_step(0, "a");
    first.abandon();
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after Abandon with steps");
    scene.expect(!first.save_step(1, "x", 1), "save_step says false after Abandon");
    auto second = scene.rival(1);
    scene.expect_steps(second.claim(false), 1, "a", "a claim after Abandon, asking not to take over");
    second.save_step(1, "b", 1);
    scene.advance(2);
    auto third = scene.rival();
    scene.template expect<expired>(third.claim(false), "a claim after the lease, asking not to take over");
    scene.expect_steps(third.claim(), 2, "ab", "a takeover");
    third.abandon();
    auto const found = scene.template expect<expired>(scene.rival().claim(false), "a claim after Abandon of that");
    scene.expect(found.attempt == 1, "Abandon of a takeover leaves the earlier attempt");
    scene.expect_steps(scene.rival().claim(), 2, "ab", "the next takeover");
}

template <store_fixture F>
    requires checkpointing_store<fixture_store<F>>
void steps_go_with_their_record(scene<F>& scene) {
    auto holder = scene.rival(1, 1);
    holder.claim();
    holder.save_step(0, "a");
    scene.advance(3);
    auto next = scene.rival(2, 2);
    scene.expect_steps(next.claim(), 1, "", "a claim when the record had expired");
    next.save_step(0, "b");
    scene.expect_steps(next.claim(), 1, "b", "the same claim again");
    next.complete("first");
    scene.expect_completed(scene.rival().claim(), "first", "a claim of the completed record");
    scene.advance(3);
    scene.expect_steps(scene.rival().claim(), 1, "", "a claim when the completed record had expired");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void parked_is_granted_on_request(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.expect(holder.park("why"), "park by the holder says that the record is parked");
    scene.expect(holder.park("why"), "the same again");
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint");
    for (bool const take_over : {true, false}) {
        scene.expect_parked(scene.rival().claim(take_over), 1, "why", "a claim that asks for no parked record");
        scene.expect_parked(holder.claim(take_over), 1, "why", "the same with the fencing token that parked it");
    }
    auto asks = scene.rival();
    scene.expect_granted(asks.claim_parked(), 2, "a claim that asks for it");
    scene.expect_granted(asks.claim_parked(), 2, "the same again");
    scene.template expect<in_flight>(scene.rival().claim_parked(), "another one meanwhile");
    scene.template expect<in_flight>(scene.rival().claim(), "a claim that asks for none meanwhile");
    scene.template expect<done>(asks.complete("first"), "Complete of the parked record");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
    scene.change_key();
    scene.expect_granted(scene.rival().claim_parked(), 1, "a claim that asks for a parked record where there is none");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void park_by_the_holder_only(scene<F>& scene) {
    auto loser = scene.rival(1);
    loser.claim();
    scene.expect(!scene.rival().park("x"), "park says false to a rival");
    scene.expect(!scene.stranger().park("x"), "park says false to another fingerprint");
    scene.advance(2);
    auto winner = scene.rival(1);
    scene.expect_granted(winner.claim(), 2, "a takeover after these");
    scene.expect(!loser.park("x"), "park says false to a fencing token that lost its record");
    scene.advance(2);
    scene.expect(winner.park("why"), "park when the lease had ended and nobody took over");
    scene.expect_parked(scene.rival().claim(), 2, "why", "a claim after that");
    scene.expect(!scene.rival().park("x"), "park of a parked record by a rival says false");
    scene.expect_parked(scene.rival().claim(), 2, "why", "a claim after that");
    scene.change_key();
    auto holder = scene.rival();
    holder.complete("first");
    scene.expect(!holder.park("x"), "park says false when the record is completed");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void park_of_an_absent_record(scene<F>& scene) {
    auto late = scene.rival(1, 1);
    scene.expect(late.park("why"), "park where there is no record");
    scene.expect_parked(scene.rival().claim(), 1, "why", "a claim after that");
    scene.change_key();
    late = scene.rival(1, 1);
    late.claim();
    scene.advance(3);
    late.retention = scene.units(scene.very_long);
    scene.expect(late.park("why"), "park when the record in flight had expired");
    scene.expect_parked(scene.rival().claim(), 1, "why", "a claim after that");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void nobody_holds_a_parked_record(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    holder.park("why");
    scene.template expect<in_flight>(holder.complete("late"), "Complete by the fencing token that parked it");
    scene.template expect<in_flight>(scene.rival().complete("late"), "Complete by a rival");
    holder.abandon();
    if constexpr (renewable_store<fixture_store<F>>) {
        scene.expect(!holder.renew(scene.units(scene.very_long)),
                     "Renew says false to the fencing token that parked it");
    }
    if constexpr (checkpointing_store<fixture_store<F>>) {
        scene.expect(!holder.save_step(0, "x"), "save_step says false to the fencing token that parked it");
    }
    scene.expect_parked(scene.rival().claim(), 1, "why", "a claim after these");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void parked_again(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    holder.park("why");
    auto asks = scene.rival();
    asks.claim_parked();
    asks.abandon();
    scene.expect_parked(scene.rival().claim(), 1, "why", "a claim after Abandon by who asked");
    scene.expect_granted(scene.rival(1).claim_parked(), 2, "the next who asks");
    scene.advance(2);
    scene.expect_parked(scene.rival().claim(), 2, "why", "a claim after the end of that lease");
    asks = scene.rival();
    scene.expect_granted(asks.claim_parked(), 3, "the one who asks then");
    scene.expect(asks.park("still"), "park by who asked");
    scene.expect_parked(scene.rival().claim(), 3, "still", "a claim after that");
}

template <store_fixture F>
    requires(parking_store<fixture_store<F>> && checkpointing_store<fixture_store<F>>)
void parked_records_keep_steps(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    holder.save_step(0, "a");
    holder.park("why");
    auto asks = scene.rival();
    scene.expect_steps(asks.claim_parked(), 2, "a", "a claim that asks for the parked record");
    scene.expect(asks.save_step(1, "b", 1), "a step by who asked");
    asks.park("");
    scene.expect_parked(scene.rival().claim(), 2, "", "a claim after park without a reason");
    scene.expect_steps(scene.rival().claim_parked(), 3, "ab", "the next who asks");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void park_restarts_the_retention(scene<F>& scene) {
    auto holder = scene.rival(4, 1);
    holder.claim();
    holder.retention = scene.units(3);
    holder.park("why");
    scene.advance(2);
    scene.expect_parked(scene.rival().claim(), 1, "why", "two units after park, of a retention of three");
    scene.advance(2);
    scene.expect_granted(scene.stranger().claim(), 1, "any fingerprint after the retention");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void settle_with_a_response(scene<F>& scene) {
    auto holder = scene.rival(1);
    scene.expect(!holder.settle(1, "x"), "settle says false where there is no record");
    holder.claim();
    holder.park("why");
    scene.expect(holder.settle(1, "settled"), "settle of a parked record");
    scene.expect_completed(scene.rival().claim(), "settled", "a claim after that");
    scene.template expect<mismatch>(scene.stranger().claim(), "another fingerprint after that");
    scene.expect_completed(holder.complete("late"), "settled", "Complete by the fencing token that parked it");
    scene.expect(!holder.settle(1, "again"), "settle says false when the record is completed");
    scene.expect_completed(scene.rival().claim(), "settled", "a claim after that");
    scene.change_key();
    auto held = scene.rival(1, 4);
    held.claim();
    scene.advance(2);
    held.retention = scene.units(2);
    scene.expect(held.settle(1, "settled"), "settle of a record whose lease has ended");
    scene.expect_completed(held.complete("late"), "settled", "Complete by the fencing token whose lease had ended");
    scene.advance(3);
    scene.expect_granted(scene.stranger().claim(), 1, "any fingerprint after the retention of settle");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void settle_is_fenced(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    scene.expect(!holder.settle(1, "x"), "settle says false while the lease lasts");
    holder.park("why");
    scene.expect(!holder.settle(2, "x"), "settle says false at another attempt");
    auto asks = scene.rival();
    asks.claim_parked();
    scene.expect(!holder.settle(2, "x"), "settle says false while somebody asks about the record");
    scene.template expect<done>(asks.complete("first"), "Complete by who asked");
    scene.expect_completed(scene.rival().claim(), "first", "a claim after that");
}

/// Claims, parks, and frees what it has parked. Returns whose record that was.
template <store_fixture F>
    requires parking_store<fixture_store<F>>
auto park_and_free(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    holder.park("why");
    scene.expect(holder.settle(1, std::nullopt), "settle of a parked record without a response");
    return holder;
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void settle_without_a_response(scene<F>& scene) {
    park_and_free(scene);
    scene.expect_granted(scene.rival(1).claim(false), 1, "a claim after that, asking not to take over");
    scene.advance(2);
    scene.expect_granted(scene.rival().claim(), 2, "a takeover of that");
    if constexpr (checkpointing_store<fixture_store<F>>) {
        scene.change_key();
        auto holder = scene.rival();
        holder.claim();
        holder.save_step(0, "a");
        holder.park("why");
        scene.expect(holder.settle(1, std::nullopt), "settle of a parked record with steps");
        scene.expect_steps(scene.rival().claim(false), 1, "a", "a claim after that, asking not to take over");
    }
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void settle_leaves_no_record(scene<F>& scene) {
    park_and_free(scene);
    scene.expect_granted(scene.stranger().claim(false), 1, "any fingerprint after settle without a response");
    scene.change_key();
    auto holder = park_and_free(scene);
    scene.template expect<done>(holder.complete("late"), "Complete by the fencing token whose record was freed");
    scene.expect_completed(scene.rival().claim(), "late", "a claim after that");
    scene.change_key();
    holder = scene.rival(1);
    holder.claim();
    scene.advance(2);
    holder.settle(1, std::nullopt);
    scene.expect(holder.park("late"), "park by the fencing token whose record was freed");
    scene.expect_parked(scene.rival().claim(), 1, "late", "a claim after that");
}

template <store_fixture F>
    requires(parking_store<fixture_store<F>> && inspectable_store<fixture_store<F>>)
void peek_parked(scene<F>& scene) {
    auto holder = scene.rival();
    holder.claim();
    if constexpr (checkpointing_store<fixture_store<F>>) {
        holder.save_step(0, "abc");
        // More in a store that keeps them in another form.
        scene.expect(peek(scene).value_or(record_info{}).steps_bytes >= 3, "peek tells the size of the steps");
    }
    holder.retention = scene.units(4);
    holder.park("why");
    auto info = peek(scene).value_or(record_info{});
    scene.expect(info.state == record_state::parked, "peek tells that the record is parked");
    scene.expect(info.attempt == 1, "peek tells the attempt that was parked");
    scene.expect(info.reason == "why", "peek tells the reason");
    scene.expect(info.record_bytes == 0, "a parked record has no bytes");
    scene.expect(info.expires_in.count() > 0 && info.expires_in <= scene.units(4), "peek tells the expiry");
    scene.rival().claim_parked();
    info = peek(scene).value_or(record_info{});
    scene.expect(info.state == record_state::in_flight, "peek tells that somebody asks about the record");
    scene.expect(info.attempt == 2, "peek tells the attempt of who asks");
}

}  // namespace idempo::testing
