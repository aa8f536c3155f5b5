// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"

#include <idempo/identifiers.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string_view>

namespace idempo::simulation {

/// What the store has granted under a fencing token, by attempt.
struct claim_grant {
    /// The tick at which the store granted it; where it did so again, the first one of this life.
    std::uint64_t at = 0;
    /// Of the record, as `contract_record` counts them.
    unsigned life = 0;

    static constexpr unsigned lost_life = std::numeric_limits<unsigned>::max();
};

/// Follows each fencing token from the middleware that made it to the store and back, and complains where a token is
/// used for more than its own claim.
class claim_ledger {
public:
    /// \return the check that failed, or nothing
    std::string_view sent(store_call const& call, std::uint64_t at);
    /// The answer has reached the middleware.
    void answered(claim_request const& claim, store_answer const& answer);
    /// \return the check that failed, or nothing
    std::string_view applied(store_call const& call, store_answer const& answer, unsigned life, std::uint64_t at);

    /// The store has lost what it granted for this key.
    void lose(store_key const& key);
    /// The store has come back with this grant, which it gave before.
    void restore(store_call const& call, store_answer const& answer, unsigned life);

    /// Null where the store has not granted it.
    [[nodiscard]] claim_grant const* find(fencing_token const& by, unsigned attempt) const;
    /// The tick at which the last Claim with this token was sent.
    [[nodiscard]] std::uint64_t sent_at(fencing_token const& by) const;
    /// How many steps the store has kept for the holder of this token.
    [[nodiscard]] std::size_t kept_steps(fencing_token const& by) const;

private:
    struct entry {
        store_key key;
        /// No further Claim may present it.
        bool is_spent = false;
        std::uint64_t sent_at = 0;
        std::map<unsigned, claim_grant> grants{};
        std::set<std::size_t> kept{};
    };

    std::map<fencing_token, entry> entries_;
};

}  // namespace idempo::simulation
