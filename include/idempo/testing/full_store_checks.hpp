// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/store.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// \file
/// Checks of a store that is full.

namespace idempo::testing {

/// A store, the claimers that got room in it, and the one that was refused.
template <store Store>
struct full_store {
    Store store;
    std::vector<claimer<Store>> holders;
    claimer<Store> refused;
};

/// The error that the store reports when `by` claims.
template <store Store>
error_code claim_error(claimer<Store>& by) {
    error_code ec;
    static_cast<void>(by.store.claim({by.key, by.fingerprint, by.fencing_token, by.lease, by.retention, true}, ec));
    return ec;
}

/// Whether the claimer is refused again and again. Once is not enough: a server may have room again when it has put its
/// memory in order.
template <class F, store Store>
bool is_refused(scene<F>& scene, claimer<Store>& by) {
    constexpr int enough = 10;
    for (int refusals = 0; refusals < enough; ++refusals) {
        auto const ec = claim_error(by);
        if (!ec) return false;
        scene.expect(ec == error::store_full, "a full store reports store_full, not: " + ec.message());
    }
    return true;
}

/// Claims until the store refuses; completes a share of the records on the way.
template <bounded_store_fixture F>
full_store<fixture_store<F>> fill_store(scene<F>& scene, int lease, int retention, bool completes) {
    constexpr std::size_t records = 50;
    auto store = scene.fixture().bounded_store(records);
    std::vector<claimer<fixture_store<F>>> holders;
    for (;;) {
        scene.change_key();
        auto next = scene.rival(lease, retention);
        next.store = store;
        if (is_refused(scene, next)) {
            scene.expect(holders.size() > records / 10, "the store refused before it had a tenth of the records");
            return {store, std::move(holders), std::move(next)};
        }
        if (holders.size() > records * 100) {
            scene.expect(false, "the bounded store never refused");
            return {store, std::move(holders), std::move(next)};
        }
        holders.push_back(std::move(next));
        if (completes && holders.size() % 2 == 0) holders.back().complete("first");
    }
}

template <bounded_store_fixture F>
void a_full_store_refuses(scene<F>& scene) {
    auto full = fill_store(scene, scene.very_long, scene.very_long, false);
    auto stranger = full.refused;
    stranger.fingerprint = scene.stranger().fingerprint;
    for (auto& holder : full.holders) holder.abandon();
    scene.expect_granted(stranger.claim(), 1, "any fingerprint under the key that was refused, when there is room");
}

template <bounded_store_fixture F>
void a_full_store_evicts_nothing(scene<F>& scene) {
    auto full = fill_store(scene, scene.very_long, scene.very_long, true);
    for (int repeat = 0; repeat < 100; ++repeat) {
        scene.change_key();
        auto next = scene.rival();
        next.store = full.store;
        claim_error(next);
    }
    for (std::size_t i = 0; i < full.holders.size(); ++i) {
        auto rival = full.holders[i];
        rival.fencing_token = make_fencing_token();
        if (i % 2 == 1) {
            scene.expect_completed(rival.claim(), "first", "a completed record of a full store");
        } else {
            scene.template expect<in_flight>(rival.claim(), "a record in flight of a full store");
        }
    }
}

template <bounded_store_fixture F>
void a_full_store_completes(scene<F>& scene) {
    auto full = fill_store(scene, scene.very_long, scene.very_long, false);
    std::string const bytes(small_record_bytes, 'r');
    for (auto& holder : full.holders) {
        scene.template expect<done>(holder.complete(bytes), "Complete with a small record in a full store");
    }
    for (auto& holder : full.holders) scene.expect_completed(holder.claim(), bytes, "a claim after that");
}

template <bounded_store_fixture F>
void expired_records_make_room(scene<F>& scene) {
    // Long enough for a slow store to be full before the first of them expires.
    auto full = fill_store(scene, 10, 10, false);
    scene.advance(21);
    scene.expect(!claim_error(full.refused), "a claim is not refused when the records in the store have expired");
}

}  // namespace idempo::testing
