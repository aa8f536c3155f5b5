#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/dispatcher.hpp>
#include <idempo/postgres/queue/sweeper.hpp>

#include <idempo/postgres/options.hpp>

#include <atomic>
#include <chrono>
#include <memory>

namespace idempo::postgres {

/// A thread's work: it walks through the table with the sweeper, pauses, and does it again. Its connection is open only
/// while it walks. What goes wrong is tried again later, and told to nobody: expired records do no harm.
class sweeper_thread {
public:
    /// \param store whose end is this one's, too
    sweeper_thread(std::shared_ptr<dispatcher> store, postgres_options const& options);

    /// Returns when the store has ended, or after `stop`.
    void run();

    /// Ends what it waits for. From any thread.
    void stop();

private:
    [[nodiscard]] bool goes_on_after(std::chrono::milliseconds pause);
    void walk();

    std::shared_ptr<dispatcher> store_;
    postgres_options options_;
    sweeper sweeper_;
    socket_guard guard_;
    std::atomic<bool> is_stopped_{false};
};

}  // namespace idempo::postgres
