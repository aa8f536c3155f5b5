// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connect_fsm.hpp>

#include <boost/asio/error.hpp>

namespace idempo::redis {

void connect_fsm::start(time_point now) {
    if (state_ != state::starting) return;
    state_ = state::looking_up;
    ends_ = now + timeout_;
    // The name of an address needs no resolver, and with it no thread.
    error_code is_name;
    auto const address = asio::ip::make_address(host_, is_name);
    if (is_name) return act(look_up{timeout_ / 2});
    on_found({address}, {}, now);
}

void connect_fsm::on_found(ip_addresses const& found, error_code error, time_point now) {
    if (state_ != state::looking_up) return;
    state_ = state::dialling;
    left_ = found;
    dial_next(error, now);
}

void connect_fsm::dial_next(error_code last_error, time_point now) {
    if (left_.empty()) return end_with(last_error ? last_error : error_code(asio::error::host_not_found));
    dialled_ = left_.front();
    left_.erase(left_.begin());
    // One share for each address that is left, this one, and what follows.
    due_ = now + (ends_ - now) / static_cast<long>(left_.size() + 2);
    act(dial{++attempt_, *dialled_});
}

void connect_fsm::on_result(unsigned attempt, error_code error, time_point now) {
    if (state_ != state::dialling || attempt != attempt_) return;
    if (error) return fail(error, now);
    act(report_success{*dialled_});
    end_with({});
}

void connect_fsm::on_time(time_point now) {
    if (due_ && *due_ <= now) fail(asio::error::timed_out, now);
}

void connect_fsm::fail(error_code error, time_point now) {
    due_.reset();
    act(report_failure{*dialled_});
    act(hang_up{});
    dial_next(error, now);
}

void connect_fsm::end_with(error_code error) {
    state_ = state::over;
    due_.reset();
    act(finish{error});
}

void connect_fsm::cancel() {
    state_ = state::over;
    due_.reset();
    actions_.clear();
}

}  // namespace idempo::redis
