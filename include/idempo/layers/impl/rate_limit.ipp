// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/rate_limit.hpp>

#include <idempo/key.hpp>

#include <idempo/option_checks.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>

namespace idempo::detail {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Rounded up, so that a client that waits so long has waited long enough; at least 1.
seconds whole_seconds(milliseconds span) { return std::max(std::chrono::ceil<seconds>(span), seconds{1}); }

std::string text(seconds span) { return std::to_string(span.count()); }

/// A String (RFC 9651, section 3.3.3) that needs no escapes.
bool is_name(std::string_view name) {
    constexpr std::size_t longest = 64;
    bool const is_plain =
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; });
    return !name.empty() && name.size() <= longest && is_plain;
}

rate_limit_options checked(rate_limit_options options) {
    require(static_cast<bool>(options.client), "rate_limit_options.client must be a function");
    require(is_name(options.name), "rate_limit_options.name must have 1 to 64 visible characters without \" and \\");
    require(static_cast<bool>(options.write_problem), "rate_limit_options.write_problem must be a function");
    require_refusals(options.problems);
    return options;
}

rate checked(rate const& rate) {
    validate(rate);
    return rate;
}

}  // namespace

rate_limit_policy::rate_limit_policy(rate_limit_options options, rate rate)
    : options_(checked(std::move(options))),
      rate_(checked(rate)),
      style_{std::move(options_.problems), std::move(options_.write_problem), std::move(options_.observer)} {}

std::optional<store_key> rate_limit_policy::client_of(request_head const& head) const {
    auto const client = options_.client(head);
    if (!client || client->empty()) return std::nullopt;
    return make_store_key("rate_limit", options_.name, *client);
}

filter_result rate_limit_policy::refuse_unknown(answered_request const& request) const {
    return {style_.refuse({refusal::client_unknown, {}, {}}, request), {}};
}

filter_result rate_limit_policy::judge(error_code error, rate_decision const& decision,
                                       answered_request const& request) const {
    if (error) return without_limiter(error, request);
    filter_result said{std::nullopt, fields_of(decision)};
    if (!decision.allowed) {
        said.answer = style_.refuse({refusal::rate_exceeded, whole_seconds(decision.reset), {}}, request);
    }
    return said;
}

filter_result rate_limit_policy::without_limiter(error_code error, answered_request const& request) const {
    event event;
    event.type = event_type::store_error;
    event.error = error;
    notify(style_.observer, event);
    if (options_.on_error == on_limiter_error::pass) return {};
    return {style_.refuse({refusal::limiter_failed, seconds{1}, {}}, request), {}};
}

response_fields rate_limit_policy::fields_of(rate_decision const& decision) const {
    auto const limit = std::to_string(rate_.limit);
    auto const remaining = std::to_string(decision.remaining);
    auto const reset = text(whole_seconds(decision.reset));
    response_fields fields;
    if (options_.fields.structured) {
        auto const name = '"' + options_.name + '"';
        fields.add("RateLimit-Policy", name + ";q=" + limit + ";w=" + text(whole_seconds(rate_.window)));
        fields.add("RateLimit", name + ";r=" + remaining + ";t=" + reset);
    }
    if (options_.fields.separate) {
        fields.set("RateLimit-Limit", limit);
        fields.set("RateLimit-Remaining", remaining);
        fields.set("RateLimit-Reset", reset);
    }
    if (options_.fields.legacy) {
        fields.set("X-RateLimit-Limit", limit);
        fields.set("X-RateLimit-Remaining", remaining);
    }
    return fields;
}

}  // namespace idempo::detail
