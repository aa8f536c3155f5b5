// SPDX-License-Identifier: MIT
#include "servers/charge_server/connection_registry.hpp"

#include <utility>

connection_registry::place connection_registry::enter(stop_function stop) {
    std::lock_guard const lock(mutex_);
    if (stopping_ || open_.size() >= limit_) return {};
    open_.push_front(std::move(stop));
    return {this, leave{open_.begin()}};
}

void connection_registry::stop() {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
    for (auto const& stop : open_) stop();
}

std::size_t connection_registry::wait_until_empty(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    left_.wait_for(lock, timeout, [this] { return open_.empty(); });
    return open_.size();
}

void connection_registry::remove(std::list<stop_function>::iterator where) {
    std::list<stop_function> removed;  // destroyed after the lock is given back
    std::lock_guard const lock(mutex_);
    removed.splice(removed.begin(), open_, where);
    if (open_.empty()) left_.notify_all();
}
