// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/execution_context.hpp>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

namespace idempo::postgres {

/// Threads that belong to an execution context: they end on their own, and are joined when the context ends at the
/// latest. So a store can be given up without waiting for what its threads still have to do.
class context_threads final : public boost::asio::execution_context::service {
public:
    using key_type = context_threads;
    static boost::asio::execution_context::id id;

    explicit context_threads(boost::asio::execution_context& owner) : service(owner) {}

    /// \param stop makes `run` return soon; called at the end of the context, if `run` has not returned
    void start(std::function<void()> run, std::function<void()> stop);

private:
    struct running {
        std::function<void()> stop;
        std::shared_ptr<bool> has_ended;
        std::thread thread;
    };

    void shutdown() override;

    std::mutex mutex_;
    std::list<running> threads_;
};

}  // namespace idempo::postgres
