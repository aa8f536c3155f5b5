// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/options.hpp>

#include <idempo/option_checks.hpp>

#include <boost/beast/core/string.hpp>

#include <utility>

namespace idempo {

namespace {

using detail::is_token;
using detail::require;
using std::chrono::milliseconds;

/// More than any of these needs, and less than a clock can hold.
constexpr std::chrono::hours a_year{24 * 365};

/// The lengths of steps have four bytes, and they travel with each takeover.
constexpr std::size_t largest_steps = std::size_t{16} << 20;

void require_fields(same_request const& rule, std::string const& key_field) {
    for (auto const& field : rule.fields) {
        require(is_token(field), "same_request.fields must be field names");
        // The same key can be written in two ways, and is compared already.
        require(!boost::beast::iequals(field, key_field), "same_request.fields cannot contain options.header");
    }
}

}  // namespace

bool stored_by_default(unsigned status) noexcept {
    switch (status) {
    case 401:
    case 403:
    case 408:
    case 425:
    case 429: return false;
    default: return status < 500;
    }
}

options options::stripe() {
    options options;
    options.syntax = key_syntax::opaque;
    options.methods = {http::verb::post};
    options.store_if = [](unsigned) { return true; };
    options.problems[refusal::key_reused].status = 400;
    options.write_problem = write_stripe_error;
    options.replayed_header = "Idempotent-Replayed";
    options.original_request_header = "Original-Request";
    options.should_retry_header = "Stripe-Should-Retry";
    options.on_throw = on_throw::store_500;
    return options;
}

void validate(options const& options) {
    require(is_token(options.header), "options.header must be a field name");
    require(is_token(options.replayed_header), "options.replayed_header must be a field name");
    require(options.original_request_header.empty() || is_token(options.original_request_header),
            "options.original_request_header must be empty or a field name");
    require(options.should_retry_header.empty() || is_token(options.should_retry_header),
            "options.should_retry_header must be empty or a field name");
    for (auto const& field : options.scope.credential_fields()) {
        require(is_token(field), "scope::credential_bound takes field names");
    }
    require_fields(options.same_request, options.header);
    for (auto const& rule : options.previous_rules) require_fields(rule, options.header);
    require(!options.methods.empty(), "options.methods must name a method");
    // Their responses have no body of their own to store (RFC 9110, sections 9.3.2, 9.3.6 and 9.3.8).
    for (auto const method : {http::verb::unknown, http::verb::head, http::verb::connect, http::verb::trace}) {
        require(!options.methods.contains(method), "options.methods cannot contain HEAD, CONNECT, TRACE or unknown");
    }
    require(options.lease >= milliseconds(10), "options.lease must be at least 10 ms");
    require(options.lease <= a_year, "options.lease must be at most a year");
    require(options.retention > milliseconds::zero(), "options.retention must be positive");
    require(detail::is_retention(options.retention), "options.retention must be at most ten years");
    require(options.wait >= milliseconds::zero(), "options.wait must not be negative");
    require(options.wait <= a_year, "options.wait must be at most a year");
    require(options.retry_after >= std::chrono::seconds{1}, "options.retry_after must be at least a second");
    require(options.persist_timeout >= milliseconds::zero(), "options.persist_timeout must not be negative");
    require(options.persist_timeout <= a_year, "options.persist_timeout must be at most a year");
    require(options.max_steps >= options.max_step_result, "options.max_steps must be at least options.max_step_result");
    require(options.max_steps <= largest_steps, "options.max_steps must be at most 16 MiB");
    require(static_cast<bool>(options.write_problem), "options.write_problem must be a function");
    require(options.on_takeover != on_takeover::reconcile || options.reconcile,
            "on_takeover::reconcile needs options.reconcile");
    detail::require_refusals(options.problems);
}

}  // namespace idempo
