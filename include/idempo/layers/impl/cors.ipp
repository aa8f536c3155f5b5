// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/cors.hpp>

#include <idempo/error.hpp>
#include <idempo/option_checks.hpp>

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace idempo {

std::vector<std::string> cors_options::default_methods() { return {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}; }

std::vector<std::string> cors_options::default_headers() {
    return {"Content-Type", "Idempotency-Key", "X-Signature", "X-Timestamp", "Authorization"};
}

std::vector<std::string> cors_options::default_exposed() {
    return {"Idempotency-Replayed", "Retry-After",         "RateLimit-Policy", "RateLimit",
            "RateLimit-Limit",      "RateLimit-Remaining", "RateLimit-Reset",  "X-RateLimit-Limit",
            "X-RateLimit-Remaining"};
}

}  // namespace idempo

namespace idempo::detail {

namespace {

std::string joined(std::vector<std::string> const& words) {
    std::string list;
    for (auto const& word : words) list.append(list.empty() ? "" : ", ").append(word);
    return list;
}

bool are_tokens(std::vector<std::string> const& words) { return std::all_of(words.begin(), words.end(), is_token); }

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (auto& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return lowered;
}

/// The address in brackets as browsers write it; empty where it is none.
std::string normal_v6(std::string_view bracketed) {
    if (!bracketed.ends_with(']') || bracketed.find('%') != std::string_view::npos) return {};
    error_code ec;
    auto const address =
        boost::asio::ip::make_address_v6(std::string(bracketed.substr(1, bracketed.size() - 2)).c_str(), ec);
    return ec ? std::string() : '[' + address.to_string() + ']';
}

/// Browsers take a host whose last label is a number for an IPv4 address, and write it with four of them.
bool ends_in_number(std::string_view host) {
    auto const label = host.substr(host.rfind('.') + 1);
    return std::all_of(label.begin(), label.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A host as browsers write it; empty where they write none like it.
std::string normal_host(std::string_view host) {
    if (host.starts_with('[')) return normal_v6(host);
    auto lowered = lower(host);
    bool const is_plain = std::all_of(lowered.begin(), lowered.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    });
    if (!is_plain || lowered.empty()) return {};
    error_code ec;
    if (ends_in_number(lowered)) boost::asio::ip::make_address_v4(lowered.c_str(), ec);
    return ec ? std::string() : lowered;
}

/// `:8080`, or nothing for the scheme's own port; no value for what is no port. \param text empty, or from the colon
std::optional<std::string> normal_port(std::string_view scheme, std::string_view text) {
    constexpr unsigned most = 65535;
    if (text.empty()) return std::string();
    text.remove_prefix(1);
    unsigned port = 0;
    auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failure != std::errc{} || end != text.data() + text.size() || port > most) return std::nullopt;
    bool const is_default = (scheme == "https" && port == 443) || (scheme == "http" && port == 80);
    return is_default ? std::string() : ':' + std::to_string(port);
}

/// The origin as browsers send it: scheme and authority (Fetch, section 3.2; RFC 6454, section 6.2). Empty for what
/// none sends: a path, a query, a user, a wildcard.
std::string normal_origin(std::string_view text) {
    constexpr std::string_view separator = "://";
    auto const colon = text.find(separator);
    if (colon == 0 || colon == std::string_view::npos) return {};
    auto const scheme = lower(text.substr(0, colon));
    bool const is_scheme = std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    });
    auto const authority = text.substr(colon + separator.size());
    auto const bracket = authority.find(']');
    auto const host_end = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    auto const host = normal_host(authority.substr(0, host_end));
    auto const port = normal_port(scheme, authority.substr(std::min(host_end, authority.size())));
    if (!is_scheme || host.empty() || !port) return {};
    return scheme + std::string(separator) + host + *port;
}

/// WebSocket has no CORS.
bool is_upgrade(request_head const& head) { return head.method() == http::verb::get && head.count("Upgrade") != 0; }

cors_options checked(cors_options options) {
    bool const any = options.origins.size() == 1 && options.origins.front() == "*";
    require(!options.origins.empty(), "cors_options.origins must name an origin");
    for (auto& origin : options.origins) {
        if (any) break;
        origin = normal_origin(origin);
        require(!origin.empty(), "cors_options.origins must be of the form scheme://host[:port], or one *");
    }
    require(!any || !options.credentials, "cors_options.credentials need a list of origins");
    require(are_tokens(options.methods), "cors_options.methods must be names of methods");
    require(are_tokens(options.headers), "cors_options.headers must be field names");
    require(are_tokens(options.exposed), "cors_options.exposed must be field names");
    require(options.max_age >= std::chrono::seconds::zero(), "cors_options.max_age must not be negative");
    require(static_cast<bool>(options.write_problem), "cors_options.write_problem must be a function");
    require_refusals(options.problems);
    return options;
}

}  // namespace

cors_filter::cors_filter(cors_options options) {
    options = checked(std::move(options));
    any_origin_ = options.origins.front() == "*";
    origins_ = std::move(options.origins);
    methods_ = joined(options.methods);
    headers_ = joined(options.headers);
    exposed_ = joined(options.exposed);
    credentials_ = options.credentials;
    max_age_ = std::to_string(options.max_age.count());
    style_ = {std::move(options.problems), std::move(options.write_problem), std::move(options.observer)};
}

bool cors_filter::is_allowed(request_head const& head) const {
    if (head.count("Origin") != 1) return false;
    auto const origin = head.field("Origin");
    if (any_origin_) return !origin.empty();
    return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

filter_result cors_filter::check(request_head const& head, answered_request const& request) const {
    bool const is_preflight = head.method() == http::verb::options && head.count("Origin") != 0 &&
                              head.count("Access-Control-Request-Method") != 0;
    if (is_preflight) return answer_preflight(head, request);
    return {std::nullopt, fields_for(head)};
}

response_fields cors_filter::fields_for(request_head const& head) const {
    if (is_upgrade(head)) return {};
    auto fields = origin_fields(head);
    if (is_allowed(head) && !exposed_.empty()) fields.set("Access-Control-Expose-Headers", exposed_);
    return fields;
}

filter_result cors_filter::answer_preflight(request_head const& head, answered_request const& request) const {
    filter_result said{std::nullopt, origin_fields(head)};
    if (!is_allowed(head)) {
        said.answer = style_.refuse({refusal::origin_refused, {}, {}}, request);
        return said;
    }
    auto& answer = said.answer.emplace(http::status::no_content, request.version);
    answer.keep_alive(request.keep_alive);
    if (!methods_.empty()) said.fields.set("Access-Control-Allow-Methods", methods_);
    if (!headers_.empty()) said.fields.set("Access-Control-Allow-Headers", headers_);
    said.fields.set("Access-Control-Max-Age", max_age_);
    return said;
}

response_fields cors_filter::origin_fields(request_head const& head) const {
    response_fields fields;
    // Also where it is not allowed, or a cache would give one origin's response to another.
    if (!any_origin_) fields.add("Vary", "Origin");
    if (!is_allowed(head)) return fields;
    fields.set("Access-Control-Allow-Origin", any_origin_ ? std::string("*") : std::string(head.field("Origin")));
    if (credentials_) fields.set("Access-Control-Allow-Credentials", "true");
    return fields;
}

}  // namespace idempo::detail
