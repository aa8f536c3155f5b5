// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/options.hpp>

#include <idempo/option_checks.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace idempo {

namespace {

using detail::is_token;
using detail::require;
using std::chrono::milliseconds;

/// More than any of these needs, and less than a clock can hold.
constexpr std::chrono::hours a_year{24 * 365};

/// One bit each in an exchange.
constexpr std::size_t max_rules = 64;

/// The lengths of steps have four bytes, and they travel with each takeover.
constexpr std::size_t largest_steps = std::size_t{16} << 20;

void require_fields(same_request const& rule, std::string const& key_field) {
    for (auto const& field : rule.fields) {
        require(is_token(field), "same_request.fields must be field names");
        // The same key can be written in two ways, and is compared already.
        require(!boost::beast::iequals(field, key_field), "same_request.fields cannot contain options.header");
    }
}

void require_credentials(scope const& scope) {
    for (auto const& field : scope.credential_fields()) {
        require(is_token(field), "scope::credential_bound takes field names");
    }
}

std::size_t identities_under(digest_keys const& keys) { return std::max<std::size_t>(keys.list().size(), 1); }

void require_identities(options const& options) {
    require_credentials(options.scope);
    auto identities = identities_under(options.digest_keys);
    for (auto const& other : options.previous) {
        if (other.scope) require_credentials(*other.scope);
        identities += identities_under(other.digest_keys.value_or(options.digest_keys));
        require(other.scope || other.key_namespace || other.per_endpoint || other.digest_keys,
                "options.previous must say what was different");
    }
    require(identities <= max_previous_identities + 1,
            "options.previous and options.digest_keys have too many entries");
    require(identities * (options.previous_rules.size() + 1) <= max_rules,
            "options.previous_rules, options.previous and options.digest_keys make too many rules");
}

}  // namespace

bool has_other_identities(options const& options) noexcept {
    return !options.previous.empty() || options.digest_keys.list().size() > 1;
}

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

options options::payments(scope::principal_function authenticated, idempo::observer told) {
    require(static_cast<bool>(told), "options::payments needs an observer");
    options options;
    options.require_key = true;
    options.scope = scope::principal(std::move(authenticated));
    options.on_throw = on_throw::hold;
    options.on_takeover = on_takeover::hold;
    options.hold_if = [](unsigned status) { return status == 500 || status == 502 || status == 504; };
    options.observer = std::move(told);
    return options;
}

void validate(options const& options) {
    require(is_token(options.header), "options.header must be a field name");
    require(is_token(options.replayed_header), "options.replayed_header must be a field name");
    require(options.original_request_header.empty() || is_token(options.original_request_header),
            "options.original_request_header must be empty or a field name");
    require(options.should_retry_header.empty() || is_token(options.should_retry_header),
            "options.should_retry_header must be empty or a field name");
    require_identities(options);
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
    require(options.remember_expired >= milliseconds::zero(), "options.remember_expired must not be negative");
    require(options.remember_expired == milliseconds::zero() || detail::is_retention(options.remember_expired),
            "options.remember_expired must be at most ten years");
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
