// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/operator_checks.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <chrono>
#include <optional>

/// \file
/// Checks of a store that remembers used keys. Each is one line of the contract.

namespace idempo::testing {

/// As `scene::very_long`, for those whose parameter hides the class.
inline constexpr int a_long_time = 1000;

/// A claimer that asks for a mark.
template <store_fixture F>
[[nodiscard]] claimer<fixture_store<F>> remembering_rival(scene<F>& scene, int lease, int retention,
                                                          int remember = a_long_time) {
    auto rival = scene.rival(lease, retention);
    rival.remember = scene.units(remember);
    return rival;
}

template <store_fixture F>
void expired_records_are_remembered(scene<F>& scene) {
    remembering_rival(scene, 1, 1).claim();
    auto asks = remembering_rival(scene, scene.very_long, scene.very_long);
    scene.template expect<in_flight>(asks.claim(), "a claim while the record is in flight");
    scene.advance(3);
    scene.template expect<remembered>(asks.claim(), "a claim when a record in flight has expired");
    scene.template expect<remembered>(asks.claim(false), "the same, asking not to take over");
    auto stranger = scene.stranger();
    stranger.remember = scene.units(1);
    scene.template expect<remembered>(stranger.claim(), "another fingerprint after that");
    scene.change_key();
    auto holder = remembering_rival(scene, 1, 2);
    holder.claim();
    holder.complete("first");
    asks = remembering_rival(scene, scene.very_long, scene.very_long);
    scene.expect_completed(asks.claim(), "first", "a claim while the completed record lives");
    scene.advance(3);
    scene.template expect<remembered>(asks.claim(), "a claim when the completed record has expired");
}

template <store_fixture F>
void marks_end(scene<F>& scene) {
    auto holder = remembering_rival(scene, 1, 2, 3);
    holder.claim();
    holder.complete("first");
    auto asks = remembering_rival(scene, scene.very_long, scene.very_long, 1);
    scene.advance(4);
    scene.template expect<remembered>(asks.claim(), "two units after the retention, of a mark of three");
    scene.advance(2);
    scene.expect_granted(asks.claim(), 1, "a claim when the mark has ended");
    asks.complete("second");
    scene.expect_completed(asks.claim(), "second", "a claim of the new record");
}

template <store_fixture F>
void released_keys_leave_no_mark(scene<F>& scene) {
    auto holder = remembering_rival(scene, scene.very_long, scene.very_long);
    holder.claim();
    holder.abandon();
    scene.expect_granted(remembering_rival(scene, 1, 1).claim(), 1, "a claim after Abandon");
    scene.advance(1);
    auto second = remembering_rival(scene, 1, 1);
    scene.template expect<granted>(second.claim(), "a takeover of that");
    second.abandon();
    scene.advance(3);
    scene.template expect<remembered>(remembering_rival(scene, 1, 1).claim(),
                                      "a claim when what Abandon of a takeover has left has expired");
    if constexpr (inspectable_store<fixture_store<F>>) {
        scene.expect(forget(scene), "forget of a mark says that there was something");
        scene.expect_granted(remembering_rival(scene, 1, 1).claim(), 1, "a claim after forget");
        forget(scene);
        scene.expect_granted(remembering_rival(scene, 1, 1).claim(), 1, "a claim after forget of a record");
    }
}

template <store_fixture F>
void marks_are_made_on_request(scene<F>& scene) {
    auto plain = scene.rival(1, 1);
    plain.claim();
    plain.complete("first");
    scene.advance(2);
    scene.expect_granted(remembering_rival(scene, 1, 1).claim(), 1, "a claim when a record without a mark has expired");
    scene.advance(3);
    scene.expect_granted(scene.rival(1, 1).claim(), 1, "a claim that looks for no mark");
}

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
void peek_remembered(scene<F>& scene) {
    auto holder = remembering_rival(scene, 1, 2, 4);
    holder.claim();
    holder.complete("first");
    scene.expect(peek(scene).value_or(record_info{}).state == record_state::completed,
                 "peek tells the record while it lives");
    scene.advance(3);
    auto const info = peek(scene).value_or(record_info{});
    scene.expect(info.state == record_state::remembered, "peek tells that a mark is left of the record");
    scene.expect(info.attempt == 0 && info.record_bytes == 0, "nothing is left of the attempts and the answer");
    scene.expect(info.expires_in.count() > 0 && info.expires_in <= scene.units(3), "peek tells when the mark ends");
    scene.advance(4);
    scene.expect(!peek(scene), "peek is empty when the mark has ended");
    scene.change_key();
    auto waits = remembering_rival(scene, 1, 1);
    waits.claim();
    scene.advance(3);
    scene.expect(peek(scene).value_or(record_info{}).state == record_state::remembered,
                 "peek tells that a mark is left of a record that was in flight");
    holder = remembering_rival(scene, scene.very_long, scene.very_long);
    holder.complete("late");
    scene.expect(peek(scene).value_or(record_info{}).state == record_state::completed,
                 "peek tells a record before a mark");
}

template <store_fixture F>
void complete_takes_no_notice_of_marks(scene<F>& scene) {
    auto late = remembering_rival(scene, 1, 1);
    late.claim();
    scene.advance(3);
    late.retention = scene.units(2);
    scene.template expect<done>(late.complete("late"), "Complete of a marked key");
    auto asks = remembering_rival(scene, scene.very_long, scene.very_long);
    scene.expect_completed(asks.claim(), "late", "a claim after that");
    scene.advance(3);
    scene.template expect<remembered>(asks.claim(), "a claim when that has expired");
}

template <store_fixture F>
    requires renewable_store<fixture_store<F>>
void renew_moves_the_mark(scene<F>& scene) {
    auto holder = remembering_rival(scene, 1, 1, 2);
    holder.claim();
    scene.expect(holder.renew(scene.units(4)), "Renew by the holder");
    scene.advance(6);
    auto asks = remembering_rival(scene, scene.very_long, scene.very_long, 1);
    scene.template expect<remembered>(asks.claim(), "a unit after the end of the renewed record, of a mark of two");
    scene.advance(2);
    scene.expect_granted(asks.claim(), 1, "a claim when the mark has ended");
}

/// One that asked for a mark, and has parked its record.
template <store_fixture F>
    requires parking_store<fixture_store<F>>
[[nodiscard]] claimer<fixture_store<F>> parking_rival(scene<F>& scene, int retention) {
    auto rival = remembering_rival(scene, scene.very_long, retention);
    rival.claim();
    rival.park("why");
    return rival;
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void parked_records_are_remembered(scene<F>& scene) {
    static_cast<void>(parking_rival(scene, 1));
    auto asks = remembering_rival(scene, scene.very_long, scene.very_long);
    scene.expect_parked(asks.claim(), 1, "why", "a claim while the parked record lives");
    scene.advance(2);
    scene.template expect<remembered>(asks.claim(), "a claim when the parked record has expired");
    scene.change_key();
    auto holder = parking_rival(scene, 2);
    scene.expect(holder.settle(1, "settled"), "settle with a response");
    asks = remembering_rival(scene, scene.very_long, scene.very_long);
    scene.expect_completed(asks.claim(), "settled", "a claim after that");
    scene.advance(3);
    scene.template expect<remembered>(asks.claim(), "a claim when the settled record has expired");
}

template <store_fixture F>
    requires parking_store<fixture_store<F>>
void freed_records_leave_no_mark(scene<F>& scene) {
    auto holder = parking_rival(scene, 1);
    scene.expect(holder.settle(1, std::nullopt), "settle without a response");
    scene.advance(2);
    scene.expect_granted(remembering_rival(scene, 1, 1).claim(), 1, "a claim after the retention of settle");
}

}  // namespace idempo::testing
