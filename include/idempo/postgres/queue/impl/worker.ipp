// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/worker.hpp>

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/queue/batch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <random>
#include <string>
#include <utility>
#include <variant>

namespace idempo::postgres {

namespace {

/// Long enough for another session's ordinary transaction, and short enough to try again row by row in time.
std::chrono::milliseconds lock_timeout(postgres_options const& options) {
    return std::max(options.operation_timeout / 5, std::chrono::milliseconds{1});
}

error_code error_of(statement_failure const& failed) {
    if (failed.timed_out) return error::store_timed_out;
    return failed.sqlstate == sqlstate::disk_full ? error::store_full : error::store_unavailable;
}

/// Whether something may be won by another attempt, row by row. Not while the server process is still at work.
bool is_worth_another_attempt(statement_failure const& failed, std::size_t rows) {
    if (failed.timed_out) return false;
    if (failed.sqlstate == sqlstate::read_only_transaction) return false;
    return rows > 1 || failed.connection_lost || sqlstate::is_transient(failed.sqlstate);
}

std::vector<request const*> requests_of(batch const& taken) {
    std::vector<request const*> chosen;
    chosen.reserve(taken.size());
    for (auto const& each : taken) chosen.push_back(&each->request());
    return chosen;
}

/// A quarter of a megabyte is worth waiting for.
constexpr std::size_t many_bytes = std::size_t{1} << 18;

std::size_t bytes_of(batch const& settled, std::vector<outcome> const& outcomes) {
    std::size_t bytes = 0;
    for (auto const& each : settled) bytes += each->bytes();
    for (auto const& each : outcomes) {
        auto const* const met = std::get_if<claim_result>(&each.answer);
        auto const* const found = met != nullptr ? std::get_if<completed>(met) : nullptr;
        if (found != nullptr) bytes += found->record.size();
    }
    return bytes;
}

}  // namespace

worker_setup::worker_setup(postgres_options given)
    : options(std::move(given)),
      sql(quoted_name(options.schema) + "." + quoted_name(options.table), lock_timeout(options)),
      to(options.connection, options.connect_timeout) {}

worker::worker(std::shared_ptr<dispatcher> from, std::size_t number, std::shared_ptr<worker_setup const> setup)
    : dispatcher_(std::move(from)),
      number_(number),
      setup_(std::move(setup)),
      backoff_(std::random_device{}()) {}

void worker::run() {
    while (stay_connected()) {
        auto const taken = dispatcher_->take();
        if (taken.empty()) return;
        carry_out_all(taken);
    }
}

bool worker::stay_connected() {
    while (true) {
        if (std::exchange(must_pause_, false) && !dispatcher_->pause(backoff_.next())) return false;
        if ((connection_ || connect_once()) && may_use_connection()) return true;
        if (dispatcher_->is_stopped()) return false;
        must_pause_ = true;
    }
}

bool worker::connect_once() {
    std::string why;
    if (auto made = setup_->to.connect(dispatcher_->is_stopped(), why)) {
        connection_.emplace(std::move(made), dispatcher_->guard(number_), setup_->options.operation_timeout);
        try {
            connection_->turn_jit_off();
        } catch (statement_failure const& failed) {
            after(failed);
            dispatcher_->is_unreachable(number_);
            return false;
        }
        if (late_.empty()) {
            dispatcher_->is_connected(number_);
            report(postgres_problem::none);
        }
        return true;
    }
    dispatcher_->is_unreachable(number_);
    report(postgres_problem::unreachable, {}, std::move(why));
    return false;
}

/// Not while a process that did not answer in time is still at work.
bool worker::may_use_connection() {
    if (late_.empty()) return true;
    try {
        connection_->forget_ended(late_);
    } catch (statement_failure const& failed) {
        after(failed);
        return false;
    }
    if (late_.empty()) {
        dispatcher_->is_connected(number_);
        report(postgres_problem::none);
        return true;
    }
    dispatcher_->is_unreachable(number_);
    report(postgres_problem::busy);
    return false;
}

void worker::carry_out_all(batch const& taken) {
    if (!connection_->is_alive()) {
        connection_.reset();
        dispatcher_->is_disconnected(number_);
        if (!connect_once()) {
            must_pause_ = true;
            return fail(taken, error::store_unavailable);
        }
    }
    batch rest;
    auto const failed = try_to_carry_out(taken, rest);
    if (!failed) return backoff_.reset();
    after(*failed);
    if (is_worth_another_attempt(*failed, rest.size())) return carry_out_one_by_one(rest);
    fail(rest, error_of(*failed));
}

void worker::carry_out_one_by_one(batch const& rest) {
    for (auto const& each : rest) {
        batch const one{each};
        batch left;
        if (!dispatcher::is_wanted(*each) || !late_.empty() || (!connection_ && !connect_once())) {
            fail(one, error::store_unavailable);
            continue;
        }
        if (auto const failed = try_to_carry_out(one, left)) {
            after(*failed);
            fail(left, error_of(*failed));
        }
    }
    if (!connection_) must_pause_ = true;
}

void worker::fail(batch const& rest, error_code with) {
    if (!rest.empty()) dispatcher_->settle(rest, std::vector<outcome>(rest.size(), {with, {}}));
}

std::optional<statement_failure> worker::try_to_carry_out(batch const& taken, batch& rest) {
    rest = taken;
    auto const tell = [&](answered told) {
        batch settled;
        std::vector<outcome> outcomes;
        for (auto& [place, outcome] : told) {
            settled.push_back(taken[place]);
            outcomes.push_back(std::move(outcome));
        }
        if (bytes_of(settled, outcomes) >= many_bytes) dispatcher_->has_moved();
        std::erase_if(rest, [&](auto const& each) { return std::ranges::find(settled, each) != settled.end(); });
        dispatcher_->settle(settled, std::move(outcomes));
    };
    try {
        carry_out(*connection_, setup_->sql, requests_of(taken), tell);
        return std::nullopt;
    } catch (statement_failure const& failed) {
        return failed;
    } catch (std::exception const&) {
        return statement_failure({}, true);  // not the answer of our statement: trust the connection no more
    }
}

void worker::after(statement_failure const& failed) {
    if (!failed.connection_lost) return report(postgres_problem::statement_failed, failed.sqlstate);
    if (failed.timed_out && connection_) late_.push_back(connection_->process());
    connection_.reset();
    if (failed.sqlstate == sqlstate::read_only_transaction) {
        must_pause_ = true;
        dispatcher_->is_unreachable(number_);
        return report(postgres_problem::read_only, failed.sqlstate);
    }
    dispatcher_->is_disconnected(number_);
    report(postgres_problem::lost, failed.sqlstate);
}

void worker::report(postgres_problem problem, std::string sqlstate, std::string detail) const {
    if (!setup_->options.observer) return;
    try {
        setup_->options.observer({problem, std::move(sqlstate), std::move(detail)});
    } catch (...) {
        // observers must not affect the operation
    }
}

}  // namespace idempo::postgres
