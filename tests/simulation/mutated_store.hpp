// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/mutant.hpp"
#include "simulation/store_call.hpp"
#include "simulation/virtual_time.hpp"

#include <idempo/stores/memory_store.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>

namespace idempo::simulation {

/// A memory store, with one bug or none. It knows of each record who holds it, so that it can do in another's name what
/// the store would refuse.
class mutated_store {
public:
    mutated_store(mutant which, std::function<time_point()> clock);

    [[nodiscard]] store_answer apply(store_call const& call, time_point claimers_clock);

private:
    /// What the store has been told of a record.
    struct known {
        fencing_token holder{};
        idempo::fingerprint fingerprint{};
        time_point lease_end{};
        time_point lease_end_of_client{};
        std::chrono::milliseconds retention{};
        std::chrono::milliseconds remember{};
        unsigned attempt = 0;
        std::optional<claim_request> unwritten{};
        time_point written_at{};
    };

    store_answer claim(claim_request claim, time_point claimers_clock);
    store_answer complete(complete_request complete);
    store_answer abandon(abandon_request abandon);
    store_answer renew(renew_request renew, time_point claimers_clock);
    store_answer step(step_request step);
    void learn(claim_request const& claim, store_answer const& answer, time_point claimers_clock);
    void end_lease(known const& of, store_key const& key);
    [[nodiscard]] std::optional<record_info> peek(store_key const& key);
    void forget(store_key const& key);

    mutant which_;
    std::function<time_point()> clock_;
    memory_store store_;
    std::map<store_key, known> known_;
};

}  // namespace idempo::simulation
