// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <concepts>

namespace idempo::detail {

/// The store's synchronous calls where they never block, whether by its type or (`any_store`) by what is in it; else
/// null.
template <class Store>
auto* direct_access(Store& store) noexcept {
    if constexpr (nonblocking_store<Store>) {
        return &store;
    } else if constexpr (requires { store.direct(); }) {
        return store.direct();
    } else {
        return static_cast<Store*>(nullptr);
    }
}

/// Whether `direct_access` can be anything but null.
template <class Store>
inline constexpr bool may_be_direct = nonblocking_store<Store> || requires(Store& store) { store.direct(); };

/// A store that renews a claim on a thread of its own, for handlers that block theirs: `blocking`, and what is around
/// it.
template <class Store>
concept self_renewing_store =
    requires(Store& store, claim_request const& claim, std::chrono::steady_clock::time_point claimed_at,
             observer const& told) { store.keep_alive(claim, claimed_at, told); };

/// Whether the store has Renew.
template <class Store>
bool renewable(Store const& store) noexcept {
    if constexpr (requires { store.renewable(); }) {
        return store.renewable();
    } else {
        return async_renewable_store<Store> || renewable_store<Store>;
    }
}

/// Whether the store keeps steps.
template <class Store>
bool keeps_steps(Store const& store) noexcept {
    if constexpr (requires { store.keeps_steps(); }) {
        return store.keeps_steps();
    } else {
        return async_checkpointing_store<Store> || checkpointing_store<Store>;
    }
}

/// Whether the store parks records.
template <class Store>
bool parks(Store const& store) noexcept {
    if constexpr (requires { store.parks(); }) {
        return store.parks();
    } else {
        return async_parking_store<Store> || parking_store<Store>;
    }
}

/// Whether the store has `peek` and `forget`.
template <class Store>
bool inspectable(Store const& store) noexcept {
    if constexpr (requires { store.inspectable(); }) {
        return store.inspectable();
    } else {
        return async_inspectable_store<Store> || inspectable_store<Store>;
    }
}

/// Whether the store has `list`.
template <class Store>
bool lists(Store const& store) noexcept {
    if constexpr (requires { store.lists(); }) {
        return store.lists();
    } else {
        return async_listing_store<Store> || listing_store<Store>;
    }
}

/// Whether the store remembers used keys.
template <class Store>
bool remembers([[maybe_unused]] Store const& store) noexcept {
    if constexpr (requires { store.remembers(); }) {
        return store.remembers();
    } else {
        return remembering_store<Store>;
    }
}

/// Where renewals run: on no thread that the store gives to handlers, where it has another.
template <class Store>
boost::asio::any_io_executor renewal_executor(Store const& store) {
    if constexpr (requires { store.renewal_executor(); }) {
        return store.renewal_executor();
    } else {
        return store.get_executor();
    }
}

/// Starts a Renew of either kind of store.
template <class Store>
void start_renew(Store& store, claim_request const& claim,
                 boost::asio::any_completion_handler<void(error_code, bool)> renewed) {
    if constexpr (async_renewable_store<Store>) {
        store.async_renew(claim.key, claim.fencing_token, claim.lease, std::move(renewed));
    } else if constexpr (nonblocking_store<Store>) {
        error_code error;
        bool const held = store.renew(claim.key, claim.fencing_token, claim.lease, error);
        std::move(renewed)(error, held);
    }
}

}  // namespace idempo::detail
