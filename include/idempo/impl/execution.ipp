// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/execution.hpp>

#include <idempo/fingerprint.hpp>
#include <idempo/option_checks.hpp>
#include <idempo/store.hpp>

#include <boost/system/system_error.hpp>

#include <stdexcept>

namespace idempo {

std::string execution::derived_key(std::string_view label) const {
    if (key_.empty()) throw std::logic_error("execution::derived_key: the request has no idempotency key");
    return derive_key(store_key_, fingerprint_, label);
}

void execution::retain_for(std::chrono::milliseconds retention) {
    detail::require(detail::is_retention(retention), "execution::retain_for needs more than 0 and at most ten years");
    retention_ = retention;
}

void execution::unknown(std::string_view reason) {
    if (!keyed_) return;
    if (!parks_) throw std::logic_error("execution::unknown: this store cannot park a record");
    reason_ = reason.substr(0, largest_park_reason);
    verdict_ = verdict::unknown;
}

std::optional<std::string> execution::kept_step(std::string_view label) const {
    return log_ ? log_->find(label) : detail::step_log(kept_.view(), step_limits_).find(label);
}

void execution::inherit(shared_bytes steps, std::size_t sealed_steps, std::string_view reason) {
    kept_ = std::move(steps);
    sealed_steps_ = sealed_steps;
    reason_ = reason;
    log_.reset();
}

void execution::require_steps() const {
    if (key_.empty()) throw std::logic_error("execution::step: the request has no idempotency key");
    if (!keyed_) return;
    if (!keeps_steps_) throw std::logic_error("execution::step: this store keeps no steps");
    if (unsaved_) throw boost::system::system_error(unsaved_, "execution::step: an earlier step could not be kept");
    if (is_fenced_) throw execution_lost();
}

std::optional<std::string> execution::begin_step(std::string_view label) {
    require_steps();
    if (lost()) {
        is_fenced_ = true;
        throw execution_lost();
    }
    if (!log_) log_ = std::make_unique<detail::step_log>(kept_.view(), step_limits_, sealed_steps_);
    return log_->begin(label);
}

void execution::end_step(std::size_t bytes, error_code error, bool is_kept) {
    log_->end(true);
    if (error) {
        unsaved_ = error;
        throw boost::system::system_error(error, "execution::step: the result could not be kept");
    }
    if (!is_kept) {
        is_fenced_ = true;
        throw execution_lost();
    }
    log_->added(bytes);
}

}  // namespace idempo
