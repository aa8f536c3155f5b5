#pragma once

#include <idempo/postgres/queue/worker.hpp>

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/queue/batch.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <random>
#include <string>
#include <utility>

namespace idempo::postgres {

namespace {

/// Long enough for another session's ordinary transaction, and short enough to try again row by row in time.
std::chrono::milliseconds lock_timeout(postgres_options const& options) {
    return std::max(options.operation_timeout / 5, std::chrono::milliseconds{1});
}

error_code error_of(statement_failure const& failed) {
    return failed.sqlstate == sqlstate::disk_full ? error::store_full : error::store_unavailable;
}

/// Whether something may be won by another attempt, row by row.
bool is_worth_another_attempt(statement_failure const& failed, std::size_t rows) {
    if (failed.sqlstate == sqlstate::read_only_transaction) return false;
    return rows > 1 || failed.connection_lost || sqlstate::is_transient(failed.sqlstate);
}

std::vector<request const*> requests_of(batch const& taken) {
    std::vector<request const*> chosen;
    chosen.reserve(taken.size());
    for (auto const& each : taken) chosen.push_back(&each->request());
    return chosen;
}

}  // namespace

worker_setup::worker_setup(postgres_options given)
    : options(std::move(given)),
      sql(quoted_name(options.schema) + "." + quoted_name(options.table), lock_timeout(options)) {}

worker::worker(std::shared_ptr<dispatcher> from, std::size_t number, std::shared_ptr<worker_setup const> setup)
    : dispatcher_(std::move(from)),
      number_(number),
      setup_(std::move(setup)),
      backoff_(std::random_device{}()) {}

void worker::run() {
    while (stay_connected()) {
        auto const taken = dispatcher_->take(number_);
        if (taken.empty()) return;
        dispatcher_->settle(taken, carry_out_all(taken));
    }
}

bool worker::stay_connected() {
    while (true) {
        if (std::exchange(must_pause_, false) && !dispatcher_->pause(backoff_.next())) return false;
        if (connection_ || connect_once()) return true;
        if (dispatcher_->is_stopped()) return false;
        must_pause_ = true;
    }
}

bool worker::connect_once() {
    auto const& options = setup_->options;
    try {
        auto made = connect(options.connection, options.connect_timeout, dispatcher_->is_stopped());
        if (made != nullptr) connection_.emplace(std::move(made), dispatcher_->guard(number_));
    } catch (std::exception const&) {
        // lost between the making and libpqxx's first look at it
    }
    if (connection_) {
        dispatcher_->is_connected(number_);
        report(postgres_problem::none);
    } else {
        dispatcher_->is_unreachable(number_);
        report(postgres_problem::unreachable);
    }
    return connection_.has_value();
}

std::vector<outcome> worker::carry_out_all(batch const& taken) {
    try {
        auto outcomes = try_to_carry_out(requests_of(taken));
        backoff_.reset();
        return outcomes;
    } catch (statement_failure const& failed) {
        after(failed);
        if (is_worth_another_attempt(failed, taken.size())) return carry_out_one_by_one(taken);
        return std::vector<outcome>(taken.size(), {error_of(failed), {}});
    }
}

std::vector<outcome> worker::carry_out_one_by_one(batch const& taken) {
    std::vector<outcome> outcomes(taken.size(), {error::store_unavailable, {}});
    for (std::size_t place = 0; place < taken.size(); ++place) {
        if (!dispatcher::is_wanted(*taken[place])) continue;
        if (!connection_ && !connect_once()) break;
        try {
            outcomes[place] = std::move(try_to_carry_out({&taken[place]->request()}).front());
        } catch (statement_failure const& failed) {
            after(failed);
            outcomes[place].error = error_of(failed);
        }
    }
    if (!connection_) must_pause_ = true;
    return outcomes;
}

std::vector<outcome> worker::try_to_carry_out(std::vector<request const*> const& requests) {
    try {
        return carry_out(*connection_, setup_->sql, requests);
    } catch (statement_failure const&) {
        throw;
    } catch (std::exception const&) {
        throw statement_failure({}, true);  // not the answer of our statement: trust the connection no more
    }
}

void worker::after(statement_failure const& failed) {
    if (!failed.connection_lost) return report(postgres_problem::statement_failed, failed.sqlstate);
    connection_.reset();
    if (failed.sqlstate == sqlstate::read_only_transaction) {
        must_pause_ = true;
        dispatcher_->is_unreachable(number_);
        return report(postgres_problem::read_only, failed.sqlstate);
    }
    dispatcher_->is_disconnected(number_);
    report(postgres_problem::lost, failed.sqlstate);
}

void worker::report(postgres_problem problem, std::string sqlstate) const {
    if (!setup_->options.observer) return;
    try {
        setup_->options.observer({problem, std::move(sqlstate)});
    } catch (...) {
        // observers must not affect the operation
    }
}

}  // namespace idempo::postgres
