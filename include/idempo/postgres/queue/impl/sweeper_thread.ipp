// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/sweeper_thread.hpp>

#include <idempo/postgres/statements/filled.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
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

sweeper_thread::sweeper_thread(postgres_options const& options, milliseconds slice_timeout)
    : options_(options),
      slice_timeout_(slice_timeout),
      sweeper_(quoted_name(options.schema) + "." + quoted_name(options.table)),
      connector_(options.connection, options.connect_timeout) {}

void sweeper_thread::run() {
    while (goes_on_after(options_.sweep_interval)) {
        try {
            walk();
        } catch (statement_failure const& failed) {  // next time, from where it was
            report(failed.connection_lost ? postgres_problem::lost : postgres_problem::statement_failed,
                   failed.sqlstate);
        } catch (std::exception const&) {
            report(postgres_problem::lost, {});
        }
    }
}

void sweeper_thread::stop() {
    {
        std::lock_guard const lock(mutex_);
        is_stopped_ = true;
    }
    ends_.notify_all();
    guard_.shut_down();
}

bool sweeper_thread::goes_on_after(milliseconds pause) {
    std::unique_lock lock(mutex_);
    return !ends_.wait_for(lock, pause, [&] { return is_stopped_.load(); });
}

void sweeper_thread::walk() {
    std::string why;
    auto made = connector_.connect(is_stopped_, why);
    if (!made) return report(postgres_problem::unreachable, {}, std::move(why));
    connection own(std::move(made), guard_, slice_timeout_);
    own.set_up();
    if (!sweeper_.may_walk(own)) return;
    auto pause = longest_pause;
    while (goes_on_after(pause)) {
        auto const start = clock::now();
        auto const swept = sweeper_.sweep(own);
        if (swept.was_last) return;
        auto const took = std::chrono::ceil<milliseconds>(clock::now() - start);
        pause = swept.deleted < many_deleted ? longest_pause : std::min(took, longest_pause);
    }
}

void sweeper_thread::report(postgres_problem problem, std::string sqlstate, std::string detail) const {
    if (!options_.observer || is_stopped_) return;
    try {
        options_.observer({problem, std::move(sqlstate), std::move(detail)});
    } catch (...) {
        // an observer's trouble is not the table's
    }
}

}  // namespace idempo::postgres
