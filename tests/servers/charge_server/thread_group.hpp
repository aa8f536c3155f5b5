// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

/// Threads that come and go. Finished ones are joined when the next one starts, all of them by the destructor.
class thread_group {
public:
    thread_group() = default;
    thread_group(thread_group const&) = delete;
    thread_group& operator=(thread_group const&) = delete;

    ~thread_group() {
        {
            std::unique_lock lock(mutex_);
            finished_one_.wait(lock, [this] { return running_.empty(); });
        }
        join_finished();
    }

    /// \throws std::system_error if there is no thread to be had.
    template <class Function>
    void start(Function function) {
        join_finished();
        std::list<std::thread> added(1);
        std::lock_guard const lock(mutex_);  // held until the thread is in the list where it looks for itself
        added.front() = std::thread([this, self = added.begin(), function = std::move(function)]() mutable {
            function();
            finish(self);
        });
        running_.splice(running_.end(), added);
    }

private:
    void finish(std::list<std::thread>::iterator self) {
        std::lock_guard const lock(mutex_);
        finished_.splice(finished_.end(), running_, self);
        finished_one_.notify_all();
    }

    void join_finished() {
        std::list<std::thread> joinable;
        {
            std::lock_guard const lock(mutex_);
            joinable.swap(finished_);
        }
        for (auto& thread : joinable) thread.join();
    }

    std::mutex mutex_;
    std::condition_variable finished_one_;
    std::list<std::thread> running_;
    std::list<std::thread> finished_;
};
