// SPDX-License-Identifier: MIT
#pragma once

#include "support/store_scene.hpp"

#include <idempo/postgres/store.hpp>

#include <boost/asio/post.hpp>

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace idempo::tests {

/// Counts the events of an observer. A handle, safe from any thread.
class postgres_events {
public:
    [[nodiscard]] auto observer() const {
        return [shared = shared_](postgres_event const& event) {
            std::lock_guard const lock(shared->mutex);
            ++shared->problems[event.problem];
            if (!event.sqlstate.empty()) ++shared->sqlstates[event.sqlstate];
        };
    }

    [[nodiscard]] int count(postgres_problem problem) const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->problems[problem];
    }

    [[nodiscard]] int count(std::string const& sqlstate) const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->sqlstates[sqlstate];
    }

private:
    struct shared {
        std::mutex mutex;
        std::map<postgres_problem, int> problems;
        std::map<std::string, int> sqlstates;
    };
    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

/// Runs a function in one turn of the store's loop: its operations reach the workers together.
template <class Submit>
void in_one_turn(postgres_store const& store, Submit submit) {
    std::promise<void> submitted;
    boost::asio::post(store.get_executor(), [&] {
        submit();
        submitted.set_value();
    });
    submitted.get_future().wait();
}

/// Options for a server on this machine.
inline postgres_options local_postgres(std::string connection) {
    postgres_options options;
    options.connection = std::move(connection);
    return options;
}

}  // namespace idempo::tests
