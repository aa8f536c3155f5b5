#pragma once

#include <idempo/layers/cors.hpp>

#include <idempo/option_checks.hpp>

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <string_view>

namespace idempo::detail {

namespace {

std::string joined(std::vector<std::string> const& words) {
    std::string list;
    for (auto const& word : words) list.append(list.empty() ? "" : ", ").append(word);
    return list;
}

bool are_tokens(std::vector<std::string> const& words) { return std::all_of(words.begin(), words.end(), is_token); }

/// Scheme and authority, as the `Origin` field has them (RFC 6454, section 6.2): no path, no space, no wildcard.
bool is_origin(std::string_view text) {
    auto const colon = text.find("://");
    if (colon == 0 || colon == std::string_view::npos) return false;
    auto const authority = text.substr(colon + 3);
    auto const is_plain = [](char c) { return c > ' ' && c <= '~' && c != '/' && c != '*' && c != ','; };
    return !authority.empty() && std::all_of(authority.begin(), authority.end(), is_plain);
}

cors_options checked(cors_options options) {
    bool const any = options.origins.size() == 1 && options.origins.front() == "*";
    require(!options.origins.empty(), "cors_options.origins must name an origin");
    require(any || std::all_of(options.origins.begin(), options.origins.end(), is_origin),
            "cors_options.origins must be of the form scheme://host[:port], or one *");
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

cors_gate::cors_gate(cors_options options) {
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

verdict cors_gate::check(request_head const& head, answered_request const& request) const {
    if (head.method() == http::verb::get && head.count("Upgrade") != 0) return {};
    auto const origin = head.count("Origin") == 1 ? head.field("Origin") : std::string_view();
    bool const is_allowed =
        !origin.empty() && (any_origin_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end());
    bool const is_preflight = head.method() == http::verb::options && head.count("Origin") != 0 &&
                              head.count("Access-Control-Request-Method") != 0;
    auto said = is_preflight ? answer_preflight(is_allowed, request) : verdict();
    // Also where it is not allowed, or a cache would give one origin's response to another.
    if (!any_origin_) said.fields.add("Vary", "Origin");
    if (!is_allowed) return said;
    add_origin(said.fields, origin);
    if (!is_preflight && !exposed_.empty()) said.fields.set("Access-Control-Expose-Headers", exposed_);
    return said;
}

verdict cors_gate::answer_preflight(bool is_allowed, answered_request const& request) const {
    if (!is_allowed) return {style_.refuse({refusal::origin_refused, {}, {}}, request), {}};
    verdict said;
    auto& answer = said.answer.emplace(http::status::no_content, request.version);
    answer.keep_alive(request.keep_alive);
    if (!methods_.empty()) said.fields.set("Access-Control-Allow-Methods", methods_);
    if (!headers_.empty()) said.fields.set("Access-Control-Allow-Headers", headers_);
    said.fields.set("Access-Control-Max-Age", max_age_);
    return said;
}

void cors_gate::add_origin(response_fields& fields, std::string_view origin) const {
    fields.set("Access-Control-Allow-Origin", any_origin_ ? std::string("*") : std::string(origin));
    if (credentials_) fields.set("Access-Control-Allow-Credentials", "true");
}

}  // namespace idempo::detail
