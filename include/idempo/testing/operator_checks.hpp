// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <boost/system/system_error.hpp>

#include <optional>

/// \file
/// Checks of `peek` and `forget`.

namespace idempo::testing {

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
std::optional<record_info> peek(scene<F>& scene) {
    error_code ec;
    auto store = scene.store();
    auto info = store.peek(scene.key(), ec);
    if (ec) throw boost::system::system_error(ec);
    return info;
}

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
bool forget(scene<F>& scene) {
    error_code ec;
    auto store = scene.store();
    bool const removed = store.forget(scene.key(), ec);
    if (ec) throw boost::system::system_error(ec);
    return removed;
}

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
void peek_in_flight(scene<F>& scene) {
    scene.expect(!peek(scene), "peek is empty where there is no record");
    scene.rival(2, 4).claim();
    auto const info = peek(scene).value_or(record_info{});
    scene.expect(info.state == record_state::in_flight, "peek tells that the record is in flight");
    scene.expect(info.attempt == 1, "peek tells the attempt");
    scene.expect(info.lease_remaining.count() > 0 && info.lease_remaining <= scene.units(2), "peek tells the lease");
    scene.expect(info.expires_in > scene.units(4) && info.expires_in <= scene.units(6), "peek tells the expiry");
    scene.expect(info.record_bytes == 0, "a record in flight has no bytes");
    scene.advance(3);
    scene.expect(peek(scene).value_or(record_info{}).lease_remaining.count() < 0, "peek tells that the lease ended");
    scene.rival(1, 1).claim();
    scene.expect(peek(scene).value_or(record_info{}).attempt == 2, "peek tells the attempt after a takeover");
    scene.advance(3);
    scene.expect(!peek(scene), "peek is empty when the record has expired");
}

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
void peek_completed(scene<F>& scene) {
    scene.rival(2, 2).complete("first");
    auto const info = peek(scene).value_or(record_info{});
    scene.expect(info.state == record_state::completed, "peek tells that the record is completed");
    scene.expect(info.attempt == 1, "a record stored by Complete alone is attempt 1");
    scene.expect(info.expires_in.count() > 0 && info.expires_in <= scene.units(2), "peek tells the expiry");
    scene.expect(info.record_bytes == 5, "peek tells the size of the record");
    scene.advance(3);
    scene.expect(!peek(scene), "peek is empty when the record has expired");
}

template <store_fixture F>
    requires inspectable_store<fixture_store<F>>
void forget_whatever_the_state(scene<F>& scene) {
    scene.expect(!forget(scene), "forget says false where there is no record");
    auto holder = scene.rival();
    holder.claim();
    scene.expect(forget(scene), "forget says true of a record in flight");
    auto next = scene.stranger();
    scene.expect_granted(next.claim(), 1, "a claim after forget");
    scene.template expect<mismatch>(holder.complete("stale"), "Complete by the fencing token that was forgotten");
    next.complete("first");
    scene.expect(forget(scene), "forget says true of a completed record");
    scene.expect_granted(scene.rival(1, 1).claim(), 1, "a claim after that");
    scene.advance(3);
    scene.expect(!forget(scene), "forget says false of an expired record");
}

}  // namespace idempo::testing
