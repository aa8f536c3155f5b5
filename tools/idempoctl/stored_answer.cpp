// SPDX-License-Identifier: MIT
#include "idempoctl/stored_answer.hpp"

#include <idempo/store.hpp>

#include <algorithm>
#include <chrono>
#include <variant>

namespace idempoctl {

namespace {

/// Of a record that a claim here makes where the one that was looked at has just expired; it is abandoned at once.
constexpr std::chrono::seconds short_life{1};

idempo::claim_result ask(store_link& link, idempo::store_key const& key, idempo::fingerprint const& fingerprint) {
    idempo::claim_request claim;
    claim.key = key;
    claim.fingerprint = fingerprint;
    claim.fencing_token = idempo::make_fencing_token();
    claim.lease = claim.retention = short_life;
    claim.take_over = false;
    idempo::error_code error;
    auto result = link.store.claim(claim, error);
    require(link, error);
    if (std::holds_alternative<idempo::granted>(result)) {
        idempo::error_code ignored;
        link.store.abandon(key, claim.fencing_token, ignored);
    }
    return result;
}

}  // namespace

std::optional<idempo::fingerprint> fingerprint_of(store_link& link, idempo::store_key const& key) {
    idempo::fingerprint nobodys;
    auto const random = idempo::make_fencing_token();
    std::ranges::copy(random.bytes, nobodys.bytes.begin());
    auto const result = ask(link, key, nobodys);
    auto const* const met = std::get_if<idempo::mismatch>(&result);
    return met != nullptr ? met->recorded : std::nullopt;
}

std::optional<idempo::shared_bytes> stored_answer(store_link& link, idempo::store_key const& key) {
    auto const fingerprint = fingerprint_of(link, key);
    if (!fingerprint) return std::nullopt;
    auto const result = ask(link, key, *fingerprint);
    auto const* const met = std::get_if<idempo::completed>(&result);
    return met != nullptr ? std::optional(met->record) : std::nullopt;
}

}  // namespace idempoctl
