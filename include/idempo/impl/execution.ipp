// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/execution.hpp>

#include <idempo/fingerprint.hpp>
#include <idempo/option_checks.hpp>

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

}  // namespace idempo
