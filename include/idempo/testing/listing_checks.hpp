// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/store.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

/// \file
/// Checks of `list`. The store may hold records of others.

namespace idempo::testing {

/// What all pages together tell.
template <store_fixture F>
    requires listing_store<fixture_store<F>>
std::map<store_key, record_info> walk(scene<F>& scene, std::optional<record_state> state = std::nullopt,
                                      std::string const& digits = {}) {
    std::map<store_key, record_info> all;
    auto store = scene.store();
    list_request request{.after = {}, .limit = 5, .state = state, .digits = digits};
    do {
        error_code ec;
        auto page = store.list(request, ec);
        if (ec) throw boost::system::system_error(ec);
        for (auto const& each : page.records) all.insert_or_assign(each.key, each.info);
        request.after = page.next;
    } while (!request.after.empty());
    return all;
}

template <store_fixture F>
    requires listing_store<fixture_store<F>>
void list_tells_each_record(scene<F>& scene) {
    std::vector<store_key> keys;
    for (int count = 0; count < 12; ++count) {
        scene.change_key();
        scene.rival(2, 4).claim();
        keys.push_back(scene.key());
    }
    auto const all = walk(scene);
    for (auto const& key : keys) scene.expect(all.contains(key), "each record is on some page");
    auto const found = all.find(keys.front());
    auto const info = found == all.end() ? record_info{} : found->second;
    scene.expect(info.attempt == 1, "list tells the attempt");
    scene.expect(info.lease_remaining.count() > 0 && info.lease_remaining <= scene.units(2), "list tells the lease");
    scene.expect(info.expires_in > scene.units(4) && info.expires_in <= scene.units(6), "list tells the expiry");
}

template <store_fixture F>
    requires listing_store<fixture_store<F>>
void list_tells_the_state(scene<F>& scene) {
    auto const open = scene.key();
    scene.rival().claim();
    scene.change_key();
    auto const full = scene.key();
    scene.rival().complete("first");
    auto const in_flight_only = walk(scene, record_state::in_flight);
    scene.expect(in_flight_only.contains(open), "a record in flight is listed as such");
    scene.expect(!in_flight_only.contains(full), "a completed record is not listed as in flight");
    auto const completed_only = walk(scene, record_state::completed);
    auto const found = completed_only.find(full);
    scene.expect(found != completed_only.end(), "a completed record is listed as such");
    scene.expect(found != completed_only.end() && found->second.record_bytes == 5, "list tells the size");
    scene.expect(!completed_only.contains(open), "a record in flight is not listed as completed");
    if constexpr (parking_store<fixture_store<F>>) {
        scene.change_key();
        scene.rival().park("why");
        auto const parked_only = walk(scene, record_state::parked);
        scene.expect(parked_only.contains(scene.key()) && parked_only.at(scene.key()).reason == "why",
                     "a parked record is listed as such");
        scene.expect(!parked_only.contains(full), "a completed record is not listed as parked");
    }
}

template <store_fixture F>
    requires listing_store<fixture_store<F>>
void list_tells_the_digits(scene<F>& scene) {
    auto const other = scene.key();
    scene.rival().claim();
    scene.change_key();
    scene.rival().claim();
    auto const all = walk(scene, std::nullopt, to_hex(scene.key().view()).substr(0, 9));
    scene.expect(all.contains(scene.key()), "a key that begins with the digits is listed");
    scene.expect(!all.contains(other), "a key that does not begin with the digits is not listed");
}

template <store_fixture F>
    requires listing_store<fixture_store<F>>
void list_hides_the_expired(scene<F>& scene) {
    scene.rival(1, 1).claim();
    auto const open = scene.key();
    scene.change_key();
    scene.rival(1, 1).complete("first");
    scene.advance(3);
    auto const all = walk(scene);
    scene.expect(!all.contains(open) && !all.contains(scene.key()), "an expired record is not listed");
}

template <store_fixture F>
    requires listing_store<fixture_store<F>>
void list_refuses_a_wrong_cursor(scene<F>& scene) {
    error_code ec;
    auto store = scene.store();
    static_cast<void>(store.list({.after = "no cursor", .limit = 5, .state = {}, .digits = {}}, ec));
    scene.expect(ec == boost::system::errc::invalid_argument, "a cursor that the store has not made is refused");
}

}  // namespace idempo::testing
