// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/operation.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <optional>
#include <string_view>

/// \file
/// What a record that has been read means for the operation that it stopped.

namespace idempo::postgres {

/// An unexpired record, as another fencing token's or one's own operation finds it.
struct record_row {
    bool is_own_fencing_token = false;
    bool is_same_fingerprint = false;
    /// That of the record; empty where another program has written something else there.
    std::optional<fingerprint> recorded{};
    unsigned attempt = 1;
    std::chrono::microseconds lease_remaining{};
    bool is_completed = false;
    /// It is parked: nobody holds it.
    std::optional<shared_bytes> reason{};
    /// There is no record, and a mark of the key: nothing else is told.
    bool is_remembered = false;
    /// Where it is completed and the fingerprint is the same.
    shared_bytes record{};
};

/// What a column holds.
[[nodiscard]] std::optional<fingerprint> fingerprint_from(std::string_view bytes);

/// What Claim answers. Empty where the claim would be granted by now: it has to be tried again.
/// \param found empty where there is no unexpired record
[[nodiscard]] std::optional<claim_result> read_claim(std::optional<record_row> const& found, bool take_over,
                                                     bool take_parked = false);

/// What Complete answers. Empty where the record would be stored by now.
[[nodiscard]] std::optional<complete_result> read_complete(std::optional<record_row> const& found);

/// Rounded away from zero, so that a lease which has not ended is never zero, nor one that has.
[[nodiscard]] std::chrono::milliseconds rounded(std::chrono::microseconds remaining);

}  // namespace idempo::postgres
