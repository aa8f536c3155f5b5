// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/condition.hpp>
#include <idempo/postgres/queue/operation.hpp>
#include <idempo/postgres/queue/operation_queue.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace idempo::postgres {

namespace asio = boost::asio;

/// Between the callers, who submit operations on any thread, and the workers, who take batches of them: it holds what
/// is pending, keeps the deadlines, and tells each caller its outcome, once.
class dispatcher : public std::enable_shared_from_this<dispatcher> {
public:
    struct limits {
        std::size_t workers = 1;
        std::size_t max_pending = 1;
        std::size_t max_pending_bytes = 1;
        std::chrono::milliseconds operation_timeout{};
    };

    dispatcher(asio::any_io_executor executor, limits within);

    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return executor_; }

    /// What is submitted in one turn of the executor's loop is released to the workers together, at its end.
    void submit(operation_ptr submitted);

    /// Nobody will submit any more: workers and watch end when nothing is pending.
    void finish();

    /// Workers and watch end at once, and what is pending is dropped.
    void stop();

    [[nodiscard]] std::atomic<bool> const& is_stopped() const noexcept { return stopped_; }

    /// Tells callers that their time is over. Returns at the end.
    void watch_deadlines();

    /// For workers, each known by its number.
    /// \{

    /// Waits for a batch. Empty at the end.
    [[nodiscard]] batch take();

    /// Whether the caller still waits for it.
    [[nodiscard]] static bool is_wanted(operation const& taken) { return !taken.is_settled; }

    /// A large part of a batch has come through: nobody's time is over who waits behind it.
    void has_moved();

    /// \param outcomes of each operation in the batch
    void settle(batch const& taken, std::vector<outcome> outcomes);

    /// For the batch that the worker has taken, or will take.
    [[nodiscard]] socket_guard& guard(std::size_t worker) { return workers_[worker].guard; }

    void is_connected(std::size_t worker);
    void is_disconnected(std::size_t worker);
    /// An attempt to connect has failed: where no other worker is connected, what is pending fails, and so does what is
    /// submitted until one is.
    void is_unreachable(std::size_t worker);

    /// Waits so long before the next attempt to connect. False at the end.
    [[nodiscard]] bool pause(std::chrono::milliseconds length);

    /// \}

private:
    struct worker_state {
        socket_guard guard;
        bool is_connected = false;
    };
    using settled = std::vector<std::pair<operation_ptr, outcome>>;

    void release_corked();
    void wake_worker();
    [[nodiscard]] bool has_ended() const { return stopped_ || (is_finishing_ && pending_ == 0); }
    void wake_all_at_end();
    static void settle(operation_ptr const& one, outcome with, settled& to);
    void forget(operation const& pending);
    [[nodiscard]] time_point deadline_of(operation const& waiting) const;
    [[nodiscard]] settled take_expired(time_point now);
    void deliver(settled all);

    asio::any_io_executor executor_;
    limits limits_;

    std::mutex mutex_;
    condition workers_wake_;
    condition watch_wakes_;
    condition pauses_end_;
    std::vector<worker_state> workers_;
    std::vector<operation_ptr> corked_;
    operation_queue queue_;
    /// Those whose caller waits, the longest first.
    boost::intrusive::list<operation, boost::intrusive::constant_time_size<false>> deadlines_;
    /// Including those that are settled and still in the queue or with a worker.
    std::size_t pending_ = 0;
    std::size_t pending_bytes_ = 0;
    time_point last_moved_{};
    bool is_watch_asleep_ = false;
    bool is_reachable_ = true;
    bool is_finishing_ = false;
    std::atomic<bool> stopped_{false};
};

}  // namespace idempo::postgres
