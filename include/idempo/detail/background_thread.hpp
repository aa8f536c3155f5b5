// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <thread>

namespace idempo::detail {

/// One thread that runs one io_context while this object lives. Work still queued at the end is dropped.
class background_thread {
public:
    background_thread()
        : context_(std::make_shared<boost::asio::io_context>(1)),
          work_(context_->get_executor()),
          thread_([context = context_] { context->run(); }) {}
    background_thread(background_thread const&) = delete;
    background_thread& operator=(background_thread const&) = delete;

    ~background_thread() {
        context_->stop();
        // The last owner may run on the thread itself, which cannot wait for itself: it is in its last handler and owns
        // its context.
        if (thread_.get_id() == std::this_thread::get_id()) {
            thread_.detach();
        } else {
            thread_.join();
        }
    }

    [[nodiscard]] boost::asio::io_context::executor_type get_executor() const noexcept {
        return context_->get_executor();
    }

private:
    std::shared_ptr<boost::asio::io_context> context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::thread thread_;
};

}  // namespace idempo::detail
