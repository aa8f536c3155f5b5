// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/worker_fsm.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>

#include <numeric>

namespace idempo::postgres {

namespace {

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

}  // namespace

void worker_fsm::start() { be_ready(); }

void worker_fsm::be_ready() {
    if (std::exchange(state_, state::idle) != state::idle) act(drop_batch{});
    left_.clear();
    if (std::exchange(must_pause_, false)) return act(pause{});
    if (!is_connected_) return act(connect{});
    may_use_connection();
}

/// Not while a process that did not answer in time is still at work: there are never more than two for a worker.
void worker_fsm::may_use_connection() {
    if (late_ > 0) return act(ask_for_ended{});
    act(take{});
}

void worker_fsm::on_paused(bool goes_on) {
    if (!goes_on) {
        state_ = state::over;
        return;
    }
    be_ready();
}

void worker_fsm::on_connected() {
    is_connected_ = true;
    if (late_ == 0) {
        act(tell{availability::connected});
        act(report{postgres_problem::none, {}, {}});
    }
    if (state_ == state::idle) return may_use_connection();
    if (state_ == state::row_by_row) return act(carry_out_one{left_.front()});
    act(carry_out{left_});
}

void worker_fsm::on_unreachable(std::string why) {
    act(tell{availability::unreachable});
    act(report{postgres_problem::unreachable, {}, std::move(why)});
    pause_or_go_on();
}

void worker_fsm::on_setup_failed(statement_failure const& failed) {
    is_connected_ = true;
    after(failed);
    if (std::exchange(is_connected_, false)) act(drop_connection{});
    act(tell{availability::unreachable});
    pause_or_go_on();
}

/// After an attempt to connect that has failed.
void worker_fsm::pause_or_go_on() {
    if (state_ == state::row_by_row) {
        act(fail{{left_.front()}, error::store_unavailable});
        return next_row();
    }
    if (state_ == state::batch_taken) act(fail{left_, error::store_unavailable});
    must_pause_ = true;
    be_ready();
}

void worker_fsm::on_asked(std::optional<statement_failure> const& failed, std::size_t still_at_work) {
    late_ = still_at_work;
    if (failed) {
        after(*failed);
    } else if (late_ == 0) {
        act(tell{availability::connected});
        act(report{postgres_problem::none, {}, {}});
        return act(take{});
    } else {
        act(tell{availability::unreachable});
        act(report{postgres_problem::busy, {}, {}});
    }
    must_pause_ = true;
    be_ready();
}

void worker_fsm::on_taken(std::size_t size, bool is_alive) {
    if (size == 0) {
        state_ = state::over;
        return;
    }
    state_ = state::batch_taken;
    left_.resize(size);
    std::iota(left_.begin(), left_.end(), std::size_t{0});
    if (is_alive) return act(carry_out{left_});
    is_connected_ = false;
    act(drop_connection{});
    act(tell{availability::disconnected});
    act(connect{});
}

void worker_fsm::on_carried_out(std::optional<statement_failure> const& failed, rows untold) {
    if (!failed) {
        if (state_ == state::row_by_row) return next_row();
        act(reset_backoff{});
        return be_ready();
    }
    after(*failed);
    if (state_ == state::row_by_row) {
        act(fail{std::move(untold), error_of(*failed)});
        return next_row();
    }
    left_ = std::move(untold);
    if (is_worth_another_attempt(*failed, left_.size())) {
        state_ = state::row_by_row;
        return go_on_with_rows();
    }
    act(fail{left_, error_of(*failed)});
    be_ready();
}

void worker_fsm::on_unwanted() {
    act(fail{{left_.front()}, error::store_unavailable});
    next_row();
}

void worker_fsm::next_row() {
    left_.erase(left_.begin());
    go_on_with_rows();
}

void worker_fsm::go_on_with_rows() {
    if (left_.empty()) {
        if (!is_connected_) must_pause_ = true;
        return be_ready();
    }
    if (late_ > 0) {
        act(fail{left_, error::store_unavailable});
        left_.clear();
        return go_on_with_rows();
    }
    if (!is_connected_) return act(connect{});
    act(carry_out_one{left_.front()});
}

void worker_fsm::after(statement_failure const& failed) {
    if (!failed.connection_lost) return act(report{postgres_problem::statement_failed, failed.sqlstate, {}});
    if (failed.timed_out) ++late_;
    is_connected_ = false;
    act(drop_connection{failed.timed_out});
    if (failed.sqlstate == sqlstate::read_only_transaction) {
        must_pause_ = true;
        act(tell{availability::unreachable});
        return act(report{postgres_problem::read_only, failed.sqlstate, {}});
    }
    act(tell{availability::disconnected});
    act(report{postgres_problem::lost, failed.sqlstate, {}});
}

}  // namespace idempo::postgres
