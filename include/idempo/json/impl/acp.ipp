// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/acp.hpp>

#include <idempo/json/canonical_json.hpp>
#include <idempo/json/string.hpp>
#include <idempo/options.hpp>

#include <boost/beast/http/field.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace idempo {

namespace {

/// Section 6.4, and for the rest the types of its Error.
std::string_view acp_code(refusal what) noexcept {
    switch (what) {
    case refusal::key_missing: return "idempotency_key_required";
    case refusal::key_reused:
    case refusal::duplicate: return "idempotency_conflict";
    case refusal::in_flight: return "idempotency_in_flight";
    case refusal::not_retained: return "idempotency_response_not_retained";
    case refusal::key_expired: return "idempotency_key_expired";
    case refusal::outcome_unknown: return "idempotency_outcome_unknown";
    case refusal::store_unavailable:
    case refusal::limiter_failed: return "unavailable";
    case refusal::handler_threw:
    case refusal::record_unreadable: return "internal";
    default: return "invalid";
    }
}

std::string_view acp_type(refusal what) noexcept {
    switch (what) {
    case refusal::store_unavailable:
    case refusal::limiter_failed: return "service_unavailable";
    case refusal::handler_threw:
    case refusal::record_unreadable: return "processing_error";
    default: return "invalid_request";
    }
}

}  // namespace

void write_acp_error(http::response<http::string_body>& response, problem const& problem,
                     refusal_details const& details) {
    response.set(http::field::content_type, "application/json");
    auto& body = response.body();
    body = "{\"type\":";
    json::append_string(body, acp_type(details.what));
    body += ",\"code\":";
    json::append_string(body, acp_code(details.what));
    body += ",\"message\":";
    json::append_string(body, problem.title);
    body += '}';
}

options options::acp(scope::principal_function authenticated) {
    options options;
    options.syntax = key_syntax::opaque;
    options.methods = {http::verb::post};
    options.require_key = true;
    options.scope = scope::principal(std::move(authenticated));
    options.per_endpoint = true;
    options.same_request.fields.clear();
    options.same_request.authority = false;
    options.same_request.body = canonical_json();
    options.store_if = [](unsigned status) { return status < 500; };
    options.replayed_header = "Idempotent-Replayed";
    options.echo_key = true;  // section 3.1: on all POST responses
    options.write_problem = write_acp_error;
    options.problems[refusal::key_missing].title = "Idempotency-Key header is required on all POST requests";
    options.problems[refusal::key_reused].title = "Idempotency-Key has already been used with a different request body";
    options.problems[refusal::in_flight].title = "A request with this Idempotency-Key is currently being processed";
    return options;
}

}  // namespace idempo
