#pragma once

#include <idempo/postgres/queue/sweeper_thread.hpp>

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

/// So that requests find the server, and its disk, free: a gigabyte is walked through in some minutes.
constexpr milliseconds longest_pause{50};
/// A slice with so many to delete is followed by the next after as long as it took itself: where keys expire faster
/// than slices come, the table would grow without end.
constexpr std::size_t many_deleted = 100;

}  // namespace

sweeper_thread::sweeper_thread(std::shared_ptr<dispatcher> store, postgres_options const& options)
    : store_(std::move(store)),
      options_(options),
      sweeper_(quoted_name(options.schema) + "." + quoted_name(options.table)) {}

void sweeper_thread::run() {
    while (goes_on_after(options_.sweep_interval)) {
        try {
            walk();
        } catch (std::exception const&) {  // next time, from where it was
        }
    }
}

void sweeper_thread::stop() {
    is_stopped_ = true;
    store_->stop();
    guard_.shut_down();
}

bool sweeper_thread::goes_on_after(std::chrono::milliseconds pause) { return store_->pause(pause) && !is_stopped_; }

void sweeper_thread::walk() {
    auto made = connect(options_.connection, options_.connect_timeout, is_stopped_);
    if (!made) return;
    connection own(std::move(made), guard_);
    auto pause = longest_pause;
    while (goes_on_after(pause)) {
        auto const start = clock::now();
        auto const swept = sweeper_.sweep(own);
        if (swept.was_last) return;
        auto const took = std::chrono::ceil<milliseconds>(clock::now() - start);
        pause = swept.deleted < many_deleted ? longest_pause : std::min(took, longest_pause);
    }
}

}  // namespace idempo::postgres
