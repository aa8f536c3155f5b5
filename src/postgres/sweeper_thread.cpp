#include "postgres/sweeper_thread.hpp"

#include "postgres/libpq_connect.hpp"
#include "postgres/statements.hpp"

#include <exception>
#include <utility>

namespace idempo::postgres {

namespace {

/// So that requests find the server, and its disk, free: a gigabyte is walked through in some minutes.
constexpr std::chrono::milliseconds between_slices{50};

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
    bool was_last = false;
    while (!was_last && goes_on_after(between_slices)) was_last = sweeper_.sweep(own).was_last;
}

}  // namespace idempo::postgres
