// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"
#include "simulation/virtual_time.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace idempo::simulation {

/// What the contract leaves to a store.
struct store_manners {
    /// The holder's repeated Claim starts its lease again.
    bool restarts_lease = true;
    /// What is left of a record after Abandon lives for its retention from then on; else as long as before.
    bool abandon_moves_expiry = true;
    /// A repeated park starts the retention again.
    bool restarts_retention_of_parked = false;
    /// How much later than by the contract a record may end.
    std::chrono::milliseconds expiry_delay{0};
};

/// One record as the contract of stores describes it, which follows what a store was asked and answered, and complains
/// where the contract does not allow the answer.
class contract_record {
public:
    enum class state { absent, in_flight, completed, parked };

    explicit contract_record(store_manners manners = {}) : manners_(manners) {}

    /// \return the check that failed, or nothing
    std::string_view follow(store_call const& call, store_answer const& answer, time_point now);

    void let_time_pass(time_point now);

    [[nodiscard]] state is() const noexcept { return state_; }
    [[nodiscard]] fencing_token const& holder() const noexcept { return token_; }
    [[nodiscard]] unsigned attempt() const noexcept { return attempt_; }
    [[nodiscard]] std::string const& record() const noexcept { return record_; }
    [[nodiscard]] time_point lease_end() const noexcept { return lease_end_; }
    /// How often the record has ended by expiry, or was freed by an operator.
    [[nodiscard]] unsigned lives() const noexcept { return lives_; }
    [[nodiscard]] bool was_taken_over() const noexcept { return taken_over_; }
    /// Who held it before the last takeover.
    [[nodiscard]] fencing_token const& predecessor() const noexcept { return predecessor_; }

private:
    std::string_view granted_to(claim_request const& claim, granted const& grant, time_point now);
    std::string_view taken_over(claim_request const& claim, granted const& grant, time_point now);
    std::string_view claimed(claim_request const& claim, claim_result const& result, time_point now);
    std::string_view completed_by(complete_request const& complete, complete_result const& result, time_point now);
    std::string_view parked_by(park_request const& park, bool is_parked, time_point now);
    std::string_view settled(settle_request const& settle, bool is_settled, time_point now);
    void freed(settle_request const& settle, time_point now);
    void abandoned_by(fencing_token const& by, time_point now);
    void lease_from(claim_request const& claim, time_point now);
    void end();
    void end_at_expiry();
    /// Both is right: that there is a record, and that there is none.
    [[nodiscard]] bool may_have_ended(time_point now) const { return state_ != state::absent && expiry_ <= now; }
    [[nodiscard]] bool is_held_by(fencing_token const& by) const { return state_ == state::in_flight && token_ == by; }

    store_manners manners_;
    state state_ = state::absent;
    idempo::fencing_token token_{};
    idempo::fencing_token predecessor_{};
    idempo::fingerprint fingerprint_{};
    std::string record_;
    unsigned attempt_ = 0;
    /// Of the record that ended last.
    unsigned expired_attempt_ = 0;
    bool has_steps_ = false;
    bool was_parked_ = false;
    bool taken_over_ = false;
    unsigned lives_ = 0;
    time_point lease_end_{};
    time_point expiry_{};
    time_point remembered_until_{};
    std::chrono::milliseconds retention_{};
    std::chrono::milliseconds remember_{};
};

}  // namespace idempo::simulation
