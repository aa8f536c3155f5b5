// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/worker.hpp>

#include <idempo/postgres/connection/libpq_connect.hpp>
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
    for (machine_.start(); !machine_.is_over();) {
        for (auto& each : machine_.take_actions()) std::visit([this](auto& action) { perform(action); }, each);
    }
}

void worker::perform(worker_fsm::pause const&) { machine_.on_paused(dispatcher_->pause(backoff_.next())); }

void worker::perform(worker_fsm::connect const&) {
    std::string why;
    auto made = setup_->to.connect(dispatcher_->is_stopped(), why);
    if (!made) return machine_.on_unreachable(std::move(why));
    connection_.emplace(std::move(made), dispatcher_->guard(number_), setup_->options.operation_timeout);
    try {
        connection_->set_up();
    } catch (statement_failure const& failed) {
        return machine_.on_setup_failed(failed);
    }
    machine_.on_connected();
}

void worker::perform(worker_fsm::ask_for_ended const&) {
    std::optional<statement_failure> failure;
    try {
        connection_->forget_ended(late_);
    } catch (statement_failure const& failed) {
        failure = failed;
    }
    machine_.on_asked(failure, late_.size());
}

void worker::perform(worker_fsm::take const&) {
    taken_ = dispatcher_->take();
    machine_.on_taken(taken_.size(), taken_.empty() || connection_->is_alive());
}

void worker::perform(worker_fsm::carry_out const& wanted) { carry_out_rows(wanted.which); }

void worker::perform(worker_fsm::carry_out_one const& wanted) {
    if (!dispatcher::is_wanted(*taken_[wanted.row])) return machine_.on_unwanted();
    carry_out_rows({wanted.row});
}

void worker::perform(worker_fsm::drop_connection const& wanted) {
    if (wanted.is_late) late_.push_back(connection_->process());
    connection_.reset();
}

void worker::perform(worker_fsm::tell const& wanted) {
    switch (wanted.is) {
    case worker_fsm::availability::connected: return dispatcher_->is_connected(number_);
    case worker_fsm::availability::disconnected: return dispatcher_->is_disconnected(number_);
    case worker_fsm::availability::unreachable: return dispatcher_->is_unreachable(number_);
    }
}

void worker::perform(worker_fsm::report& wanted) {
    if (!setup_->options.observer) return;
    try {
        setup_->options.observer({wanted.problem, std::move(wanted.sqlstate), std::move(wanted.detail)});
    } catch (...) {
        // observers must not affect the operation
    }
}

void worker::perform(worker_fsm::fail const& wanted) {
    if (wanted.which.empty()) return;
    dispatcher_->settle(at(wanted.which), std::vector<outcome>(wanted.which.size(), {wanted.with, {}}));
}

void worker::perform(worker_fsm::drop_batch const&) { taken_.clear(); }

void worker::perform(worker_fsm::reset_backoff const&) { backoff_.reset(); }

batch worker::at(worker_fsm::rows const& places) const {
    batch chosen;
    chosen.reserve(places.size());
    for (auto const place : places) chosen.push_back(taken_[place]);
    return chosen;
}

void worker::carry_out_rows(worker_fsm::rows const& which) {
    auto const sent = at(which);
    auto untold = which;
    auto const tell = [&](answered told) {
        batch settled;
        std::vector<outcome> outcomes;
        for (auto& [place, outcome] : told) {
            settled.push_back(sent[place]);
            outcomes.push_back(std::move(outcome));
            std::erase(untold, which[place]);
        }
        if (bytes_of(settled, outcomes) >= many_bytes) dispatcher_->has_moved();
        dispatcher_->settle(settled, std::move(outcomes));
    };
    std::optional<statement_failure> failure;
    try {
        postgres::carry_out(*connection_, setup_->sql, requests_of(sent), tell);
    } catch (statement_failure const& failed) {
        failure = failed;
    } catch (std::exception const&) {
        failure.emplace(std::string(), true);  // not the answer of our statement: trust the connection no more
    }
    machine_.on_carried_out(failure, std::move(untold));
}

}  // namespace idempo::postgres
