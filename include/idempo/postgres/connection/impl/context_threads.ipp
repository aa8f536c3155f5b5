// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/context_threads.hpp>

#include <utility>

namespace idempo::postgres {

boost::asio::execution_context::id context_threads::id;

void context_threads::start(std::function<void()> run, std::function<void()> stop) {
    std::lock_guard const lock(mutex_);
    threads_.remove_if([](running& each) {
        if (!*each.has_ended) return false;
        each.thread.join();
        return true;
    });
    auto has_ended = std::make_shared<bool>(false);
    auto& added = threads_.emplace_back(running{std::move(stop), has_ended, {}});
    added.thread = std::thread([this, has_ended, run = std::move(run)]() mutable {
        run();
        run = nullptr;  // what it owns goes with it, and not when somebody joins
        std::lock_guard const ending(mutex_);
        *has_ended = true;
    });
}

void context_threads::shutdown() {
    std::list<running> left;
    {
        std::lock_guard const lock(mutex_);
        left.swap(threads_);
    }
    for (auto const& each : left) each.stop();
    for (auto& each : left) each.thread.join();
}

}  // namespace idempo::postgres
