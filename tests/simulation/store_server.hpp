// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/chronicle.hpp"
#include "simulation/ground_truth.hpp"
#include "simulation/mutated_store.hpp"
#include "simulation/store_call.hpp"
#include "simulation/store_machine.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace idempo::simulation {

/// The machine on which the shared store runs: the library's own `memory_store`, on a clock of its own.
class store_server final : public store_machine {
public:
    store_server(mutant which, bool keeps_journal, chronicle& told, ground_truth& truth);

    /// Nothing where the machine is down.
    /// \param claimers_clock what the caller's clock shows, for the mutant that believes it
    [[nodiscard]] std::optional<store_answer> apply(store_call const& call, std::uint64_t sent_at,
                                                    time_point claimers_clock);

    [[nodiscard]] std::optional<store_answer> ask(store_call const& call) override;
    void go_down() override;
    void come_back() override { is_up_ = true; }
    void lose(std::size_t operations) override;
    void jump(duration by) override { clock_.jump(world_now, by); }
    [[nodiscard]] time_point now() const override { return clock_.at(world_now); }

private:
    struct entry : store_event {
        time_point claimers_clock;
    };

    void rebuild(std::size_t entries);

    local_clock clock_;
    std::optional<time_point> replayed_;
    mutant mutant_;
    std::unique_ptr<mutated_store> store_;
    std::vector<entry> journal_;
    bool keeps_journal_;
    bool is_up_ = true;
    chronicle& told_;
    ground_truth& truth_;
};

}  // namespace idempo::simulation
