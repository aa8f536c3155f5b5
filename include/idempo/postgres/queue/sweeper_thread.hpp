// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/condition.hpp>
#include <idempo/postgres/queue/sweeper.hpp>

#include <idempo/postgres/options.hpp>

#include <atomic>
#include <chrono>
#include <mutex>

namespace idempo::postgres {

/// A thread's work: it walks through the table with the sweeper, pauses, and does it again. Its connection is open only
/// while it walks. The observer is told what goes wrong, once a walk; it is tried again later.
class sweeper_thread {
public:
    /// Before PostgreSQL 14 each slice reads the whole table.
    static constexpr std::chrono::milliseconds default_slice_timeout{30'000};

    explicit sweeper_thread(postgres_options const& options,
                            std::chrono::milliseconds slice_timeout = default_slice_timeout);

    /// Returns after `stop`.
    void run();

    /// Ends what it waits for. From any thread.
    void stop();

private:
    [[nodiscard]] bool goes_on_after(std::chrono::milliseconds pause);
    void walk();
    void report(postgres_problem problem, std::string sqlstate, std::string detail = {}) const;

    postgres_options options_;
    std::chrono::milliseconds slice_timeout_;
    sweeper sweeper_;
    connector connector_;
    socket_guard guard_;
    std::mutex mutex_;
    condition ends_;
    std::atomic<bool> is_stopped_{false};
};

}  // namespace idempo::postgres
