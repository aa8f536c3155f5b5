// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/redis/link.hpp"
#include "simulation/redis/server.hpp"
#include "simulation/redis/witness.hpp"
#include "simulation/store_machine.hpp"
#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace idempo::simulation {

/// The machine on which the simulated Redis runs, its clock, and the replica that follows it. What is done there is
/// told to the ground truth at that moment.
class redis_machine final : public store_machine {
public:
    explicit redis_machine(surroundings& world);

    /// A connection from a process; null where nobody listens.
    [[nodiscard]] std::shared_ptr<redis_link> accept(std::size_t process);

    [[nodiscard]] std::optional<store_answer> ask(store_call const& call) override;
    /// It stops, is started again, becomes a replica for a while, gets full, or cannot write to its disk.
    void go_down() override;
    void come_back() override;
    /// A replica, or an earlier file, takes its place.
    void lose(std::size_t operations) override;
    void jump(duration by) override { clock_.jump(world_now, by); }
    /// As Redis has it, in whole milliseconds.
    [[nodiscard]] time_point now() const override;

private:
    struct entry : store_event {
        /// When the replica has it.
        time_point replicated_at;
        redis_database data;
    };

    void receive(redis_link& from, std::string const& bytes);
    void serve(redis_link& of);
    void execute(redis_link& of, redis_words const& words);
    [[nodiscard]] redis_reply run(redis_words const& words);
    [[nodiscard]] redis_reply run_as_another(redis_words words);
    void replicate(redis_link& of);
    void remember(witnessed_call const& seen);
    void wait_for_replicas(redis_link& of, redis_words const& words);
    void set_time();
    void cut_all();
    void stop_listening();
    void restore(std::size_t kept);
    [[nodiscard]] std::vector<std::shared_ptr<redis_link>> links();

    surroundings& world_;
    local_clock clock_;
    simulated_redis server_;
    std::vector<std::weak_ptr<redis_link>> links_;
    /// What is still under way to an earlier one is lost.
    unsigned life_ = 0;
    std::vector<entry> journal_;
    time_point replicated_at_{};
    /// For the bug that answers with it.
    std::optional<redis_reply> last_reply_;
    bool keeps_journal_;
    bool is_running_ = true;
    bool listens_ = true;
    bool was_restarted_ = false;
};

}  // namespace idempo::simulation
