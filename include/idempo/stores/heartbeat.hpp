// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/renewal_queue.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

namespace idempo::detail {

/// Starts Renews: whoever holds it holds the store.
class renewal {
public:
    using handler = boost::asio::any_completion_handler<void(error_code, bool held)>;
    using function = void (*)(void* owner, claim_request const& claim, handler renewed);

    renewal() = default;
    renewal(std::shared_ptr<void> owner, function starter) : owner_(std::move(owner)), start_(starter) {}

    explicit operator bool() const noexcept { return owner_ != nullptr; }
    void start(claim_request const& claim, handler renewed) const { start_(owner_.get(), claim, std::move(renewed)); }

private:
    std::shared_ptr<void> owner_;
    function start_ = nullptr;
};

/// \param get gives the store of the owner
template <class Owner, class Get>
renewal renewal_by(std::shared_ptr<Owner> owner, Get) {
    return {std::move(owner), [](void* of, claim_request const& claim, renewal::handler renewed) {
                start_renew(Get()(*static_cast<Owner*>(of)), claim, std::move(renewed));
            }};
}

class heartbeats;

/// Renews one claim, each time when a third of its lease has passed, until it is stopped or the claim is lost.
class heartbeat {
public:
    heartbeat() = default;
    heartbeat(heartbeat&&) = default;
    /// The one that was here ends with `other`.
    heartbeat& operator=(heartbeat&& other) noexcept {
        running_.swap(other.running_);
        return *this;
    }

    /// Renews and reports nothing afterwards, except a Renew already in progress. Does not touch the executor, which
    /// may be gone, too: the timer runs out by itself.
    ~heartbeat();

    /// Ends at once; the destructor leaves the end to the timer.
    void stop();

    /// Becomes true if the lease could not be held. Empty if no heartbeat was started.
    [[nodiscard]] std::shared_ptr<std::atomic<bool> const> lost() const;

private:
    friend heartbeats;
    class beating;
    explicit heartbeat(std::shared_ptr<beating> running) : running_(std::move(running)) {}
    std::shared_ptr<beating> running_;
};

/// The heartbeats of one executor, by one timer: most requests end long before their first Renew is due, and a timer
/// for each costs more than all else that a heartbeat does. All members may be called from any thread.
///
/// Timer and renewals run on the executor, not where the handler runs: a handler that keeps its own thread busy does
/// not lose its lease.
class heartbeats : public std::enable_shared_from_this<heartbeats> {
    using clock = std::chrono::steady_clock;

public:
    explicit heartbeats(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    /// \param claimed_at when the claim was sent
    [[nodiscard]] heartbeat start(renewal renewal, claim_request const& claim, clock::time_point claimed_at,
                                  idempo::observer observer);

private:
    friend heartbeat::beating;
    friend heartbeat;

    void add(heartbeat::beating& beating);
    /// \param ends_timer where nothing is left
    void remove(heartbeat::beating& beating, bool ends_timer) noexcept;
    void tick();
    [[nodiscard]] std::shared_ptr<heartbeat::beating> take_due();
    void wait_for_next();

    boost::asio::any_io_executor const executor_;
    std::mutex mutex_;
    /// \name Guarded by the mutex
    /// @{
    renewal_queue queue_;
    /// Owned by its wait: where the executor's context is gone, so is the timer, which must not outlive it.
    std::weak_ptr<boost::asio::steady_timer> timer_;
    clock::time_point wakes_at_ = clock::time_point::max();
    /// @}
};

}  // namespace idempo::detail
