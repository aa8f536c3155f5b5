// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/socket_watch.hpp>

namespace idempo::postgres {

namespace {

constexpr auto for_ever = std::chrono::steady_clock::time_point::max();

}  // namespace

void socket_watch::run() {
    std::unique_lock lock(mutex_);
    while (!is_stopped_) {
        auto const first = deadlines_.begin();
        if (first == deadlines_.end() || first->first == for_ever) {
            changed_.wait(lock);
        } else if (auto const until = first->first; until > std::chrono::steady_clock::now()) {
            changed_.wait_until(lock, until);
        } else {
            auto* const over = first->second;
            over->guard_.shut_down();
            deadlines_.erase(first);
            over->at_ = deadlines_.emplace(for_ever, over);
        }
    }
}

void socket_watch::stop() {
    std::lock_guard const lock(mutex_);
    is_stopped_ = true;
    for (auto const& [until, each] : deadlines_) each->guard_.shut_down();
    changed_.notify_all();
}

socket_watch::limit::limit(socket_watch& watch, socket_guard& guard, std::chrono::milliseconds timeout)
    : watch_(watch),
      guard_(guard) {
    std::lock_guard const lock(watch_.mutex_);
    if (watch_.is_stopped_) guard.shut_down();
    at_ = watch_.deadlines_.emplace(std::chrono::steady_clock::now() + timeout, this);
    if (at_ == watch_.deadlines_.begin()) watch_.changed_.notify_one();
}

socket_watch::limit::~limit() {
    std::lock_guard const lock(watch_.mutex_);
    watch_.deadlines_.erase(at_);
}

}  // namespace idempo::postgres
