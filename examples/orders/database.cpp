// SPDX-License-Identifier: MIT
#include "orders/database.hpp"

#include "orders/limits.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <pqxx/except>
#include <pqxx/nontransaction>

#include <string_view>

#include <sys/socket.h>

namespace asio = boost::asio;

bool is_outage(std::exception const& thrown) {
    if (dynamic_cast<pqxx::broken_connection const*>(&thrown) != nullptr) return true;
    auto const* const error = dynamic_cast<pqxx::sql_error const*>(&thrown);
    if (error == nullptr) return false;
    std::string_view const sqlstate = error->sqlstate();
    for (std::string_view const family : {"08", "53", "57", "40", "25"}) {
        if (sqlstate.starts_with(family)) return true;
    }
    return false;
}

database::database(asio::any_io_executor executor, std::string connection)
    : executor_(std::move(executor)),
      connection_(std::move(connection)),
      threads_(limits::database_connections) {}

database::~database() {
    threads_.stop();
    {
        std::lock_guard const lock(mutex_);
        for (auto* const each : running_) ::shutdown(each->socket, SHUT_RDWR);
    }
    threads_.join();
}

void database::ask(std::shared_ptr<question> const& asked, asio::any_completion_handler<void()> done) {
    if (pending_ >= limits::database_questions) {
        asked->thrown = std::make_exception_ptr(database_unavailable("too many questions"));
        return asio::post(executor_, std::move(done));
    }
    ++pending_;
    auto const deadline = std::make_shared<asio::steady_timer>(executor_, limits::database_time);
    deadline->async_wait([this, asked](boost::system::error_code cancelled) {
        if (!cancelled) give_up(*asked);
    });
    asio::post(threads_,
               [this, asked, deadline, done = std::move(done), work = asio::make_work_guard(executor_)]() mutable {
                   try {
                       carry_out(*asked);
                   } catch (...) {
                       asked->thrown = std::current_exception();
                   }
                   --pending_;
                   asio::post(executor_, [deadline, done = std::move(done)]() mutable {
                       deadline->cancel();
                       std::move(done)();
                   });
               });
}

void database::carry_out(question& asked) {
    try {
        // A failed connection is not used again: it is not put back into `idle_`.
        auto connection = take_connection();
        enter(asked, *connection);
        try {
            asked.work(*connection);
        } catch (...) {
            leave(asked);
            throw;
        }
        leave(asked);
        std::lock_guard const lock(mutex_);
        if (!asked.is_overdue) idle_.push_back(std::move(connection));
    } catch (pqxx::failure const& error) {
        if (!is_outage(error)) throw;
        // The others have the same problem, and would only find out one by one.
        std::lock_guard const lock(mutex_);
        idle_.clear();
        throw database_unavailable("the database is unavailable");
    }
}

std::unique_ptr<pqxx::connection> database::take_connection() {
    {
        std::lock_guard const lock(mutex_);
        if (!idle_.empty()) {
            auto idle = std::move(idle_.back());
            idle_.pop_back();
            return idle;
        }
    }
    auto made = std::make_unique<pqxx::connection>(connection_);
    pqxx::nontransaction(*made).exec("SET statement_timeout = " +
                                     std::to_string(std::chrono::milliseconds(limits::database_time).count()));
    return made;
}

void database::enter(question& asked, pqxx::connection& with) {
    std::lock_guard const lock(mutex_);
    if (asked.is_overdue) throw database_unavailable("not in time");
    asked.socket = with.sock();
    running_.insert(&asked);
}

void database::leave(question& asked) {
    std::lock_guard const lock(mutex_);
    running_.erase(&asked);
}

void database::give_up(question& overdue) {
    std::lock_guard const lock(mutex_);
    overdue.is_overdue = true;
    if (running_.contains(&overdue)) ::shutdown(overdue.socket, SHUT_RDWR);
}
