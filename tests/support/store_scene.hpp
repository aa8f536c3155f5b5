// SPDX-License-Identifier: MIT
#pragma once

#include "support/effect_ledger.hpp"
#include "support/poll_until.hpp"

#include <idempo/store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace idempo::tests {

using namespace std::chrono_literals;

/// The store key of a number.
inline store_key numbered_key(std::size_t number) {
    store_key key;
    for (std::size_t byte = 0; byte < sizeof number; ++byte) {
        key.bytes[byte] = static_cast<unsigned char>(number >> (8 * byte));
    }
    return key;
}

inline claim_request claim_of(store_key const& key, std::chrono::milliseconds lease = 30s) {
    return {key, {{1}}, make_fencing_token(), lease, 1h, true};
}

inline complete_request complete_of(claim_request const& claim, std::string_view bytes) {
    return {claim.key, claim.fingerprint, claim.fencing_token, shared_bytes(bytes), claim.retention};
}

/// A request: it claims, has its effect if the claim is granted, and completes with the number of the effect. Returns
/// the claim's answer, or an error, with which the effect did not happen.
template <class Store>
std::pair<error_code, claim_result> execute(Store& store, store_key const& key, effect_ledger const& ledger) {
    auto const claim = claim_of(key);
    error_code error;
    auto answer = store.claim(claim, error);
    if (error || !std::holds_alternative<granted>(answer)) return {error, std::move(answer)};
    auto const effect = std::to_string(ledger.append(to_hex(key.view())));
    static_cast<void>(store.complete(complete_of(claim, effect), error));
    return {error, std::move(answer)};
}

/// Whether a claim is granted; abandons it. Uses a new key, so that the orphan of a failed claim does not disturb other
/// claims.
template <class Store>
bool works(Store& store) {
    store_key key;
    auto const random = make_fencing_token();
    std::copy(random.bytes.begin(), random.bytes.end(), key.bytes.begin());
    auto const claim = claim_of(key);
    error_code error;
    auto const answer = store.claim(claim, error);
    if (error || !std::holds_alternative<granted>(answer)) return false;
    store.abandon(claim.key, claim.fencing_token, error);
    return !error;
}

/// The time until an operation succeeds again.
template <class Store>
std::chrono::milliseconds time_to_work(Store& store) {
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return works(store); });
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace idempo::tests
