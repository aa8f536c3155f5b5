// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace idempo::detail {

/// Renews one claim, each time when a third of its lease has passed, until it is stopped or the claim is lost.
///
/// Timer and renewals run on a strand of the given executor, not where the handler runs: a handler that keeps its own
/// thread busy does not lose its lease.
class heartbeat {
public:
    /// Starts a Renew of the claim and gives its outcome to the handler.
    using renew_function = std::function<void(boost::asio::any_completion_handler<void(error_code, bool held)>)>;

    heartbeat() = default;
    heartbeat(heartbeat&&) = default;
    heartbeat& operator=(heartbeat&&) = default;

    /// \param claimed_at when the claim was sent
    static heartbeat start(boost::asio::any_io_executor const& executor, renew_function renew,
                           claim_request const& claim, std::chrono::steady_clock::time_point claimed_at,
                           idempo::observer observer);

    /// Renews and reports nothing afterwards, except a Renew already in progress. Does not touch the executor, which
    /// may be gone, too: the timer runs out by itself.
    ~heartbeat();

    /// Ends at once; the destructor leaves the end to the timer.
    void stop();

    /// Becomes true if the lease could not be held. Empty if no heartbeat was started.
    [[nodiscard]] std::shared_ptr<std::atomic<bool> const> lost() const;

private:
    class beating;
    explicit heartbeat(std::shared_ptr<beating> running) : running_(std::move(running)) {}
    std::shared_ptr<beating> running_;
};

}  // namespace idempo::detail
