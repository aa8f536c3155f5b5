// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/record_row.hpp>

#include <algorithm>

namespace idempo::postgres {

namespace {

in_flight still_in_flight(record_row const& found) {
    return {std::max(rounded(found.lease_remaining), std::chrono::milliseconds::zero())};
}

}  // namespace

std::optional<fingerprint> fingerprint_from(std::string_view bytes) {
    fingerprint read;
    if (bytes.size() != read.bytes.size()) return std::nullopt;
    bytes.copy(reinterpret_cast<char*>(read.bytes.data()), bytes.size());
    return read;
}

std::optional<claim_result> read_claim(std::optional<record_row> const& found, bool take_over, bool take_parked) {
    if (!found) return std::nullopt;
    if (found->is_remembered) return remembered{};
    if (!found->is_same_fingerprint) return mismatch{found->recorded};
    if (found->is_completed) return completed{found->record};
    if (found->reason && !take_parked) return parked{found->attempt, *found->reason};
    if (found->is_own_fencing_token) return std::nullopt;
    if (found->lease_remaining > std::chrono::microseconds::zero()) return still_in_flight(*found);
    if (!take_over && found->attempt > 0) return expired{found->attempt};
    return std::nullopt;
}

std::optional<complete_result> read_complete(std::optional<record_row> const& found) {
    if (!found) return std::nullopt;
    if (!found->is_same_fingerprint) return mismatch{found->recorded};
    if (found->is_completed) {
        if (found->is_own_fencing_token) return done{};
        return completed{found->record};
    }
    if (found->is_own_fencing_token && !found->reason) return std::nullopt;
    return still_in_flight(*found);
}

std::chrono::milliseconds rounded(std::chrono::microseconds remaining) {
    using std::chrono::milliseconds;
    if (remaining > remaining.zero()) return std::chrono::ceil<milliseconds>(remaining);
    return std::min(std::chrono::floor<milliseconds>(remaining), milliseconds{-1});
}

}  // namespace idempo::postgres
