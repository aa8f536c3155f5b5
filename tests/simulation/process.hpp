// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/ground_truth.hpp"
#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace idempo::simulation {

/// A server process: the middleware and its driver as they are, on an execution context of its own, over a
/// `remote_store`.
class process {
public:
    using respond = std::function<void(seen_answer const&)>;

    process(surroundings& world, std::size_t number);
    ~process();
    process(process const&) = delete;
    process& operator=(process const&) = delete;

    void start();
    /// Ends it. Its destructors reach nobody, or, where it is shut down, they do.
    void kill(bool destructors_can_send);
    void stop();
    void go_on();
    [[nodiscard]] bool is_alive() const noexcept { return life_ != nullptr; }

    /// Runs it in the process; later, where that is stopped; never, where it is dead.
    void enter(std::function<void()> what);
    void serve(std::size_t key, std::string const& payload, respond answer);
    void cut(std::size_t connection);
    void jump(duration by);
    void run_at(std::int64_t per_mille);

    /// In the world's time.
    [[nodiscard]] std::optional<time_point> next_timer() const;
    void run_timers();

private:
    struct life;

    surroundings& world_;
    std::size_t number_;
    local_clock clock_;
    bool has_odd_clock_ = false;
    bool is_stopped_ = false;
    std::deque<std::function<void()>> inbox_;
    std::unique_ptr<life> life_;
};

[[nodiscard]] inline std::string key_text(std::size_t key) { return "key-" + std::to_string(key); }

}  // namespace idempo::simulation
