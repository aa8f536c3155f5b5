// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/hmac_auth.hpp>

#include <idempo/option_checks.hpp>

#include <openssl/crypto.h>

#include <boost/beast/http/field.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::detail {

namespace {

hmac_options checked(hmac_options options) {
    require(options.find_secrets ? options.secret.empty() && options.previous_secret.empty() : !options.secret.empty(),
            "hmac_options needs a secret, or find_secrets alone");
    require(is_token(options.header), "hmac_options.header must be a field name");
    require(options.timestamp_header.empty() || is_token(options.timestamp_header),
            "hmac_options.timestamp_header must be empty or a field name");
    require(options.list != signature_list::stripe || options.timestamp_header.empty(),
            "hmac_options.timestamp_header must be empty where signature_list::stripe has the time");
    require(std::all_of(options.signed_fields.begin(), options.signed_fields.end(), is_token),
            "hmac_options.signed_fields must be field names");
    require(!options.preamble || (options.signed_fields.empty() && options.content == signed_content::body),
            "hmac_options.preamble is instead of content and signed_fields");
    require(options.tolerance >= std::chrono::seconds::zero(), "hmac_options.tolerance must not be negative");
    require(is_token(options.challenge.substr(0, options.challenge.find(' '))) &&
                options.challenge.find_first_of("\r\n") == std::string::npos,
            "hmac_options.challenge must begin with the name of a scheme");
    require(static_cast<bool>(options.write_problem), "hmac_options.write_problem must be a function");
    require_refusals(options.problems);
    return options;
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

}  // namespace

}  // namespace idempo::detail

namespace idempo {

hmac_options hmac_options::standard_webhooks(std::string_view secret) {
    constexpr std::string_view mark = "whsec_";
    if (secret.starts_with(mark)) secret.remove_prefix(mark.size());
    hmac_options options;
    options.secret = detail::decode_secret(secret);
    detail::require(!options.secret.empty(), "hmac_options::standard_webhooks takes a secret in base64");
    options.header = "Webhook-Signature";
    options.prefix = "v1,";
    options.encoding = signature_encoding::base64;
    options.list = signature_list::spaced;
    options.content = signed_content::fields_timestamp_and_body;
    options.signed_fields.emplace_back("Webhook-Id");
    options.timestamp_header = "Webhook-Timestamp";
    return options;
}

hmac_options hmac_options::stripe_webhooks(std::string secret) {
    hmac_options options;
    options.secret = std::move(secret);
    options.header = "Stripe-Signature";
    options.prefix = "v1";
    options.list = signature_list::stripe;
    return options;
}

hmac_options hmac_options::github_webhooks(std::string secret) {
    hmac_options options;
    options.secret = std::move(secret);
    options.header = "X-Hub-Signature-256";
    options.prefix = "sha256=";
    return options;
}

}  // namespace idempo

namespace idempo::detail {

hmac_filter::hmac_filter(hmac_options options)
    : options_(checked(std::move(options))),
      style_{std::move(options_.problems), std::move(options_.write_problem), std::move(options_.observer)} {
    for (auto* const secret : {&options_.secret, &options_.previous_secret}) {
        if (!secret->empty()) keys_.emplace_back(*secret);
        wipe(*secret);
    }
}

bool hmac_filter::is_dated() const noexcept {
    return options_.list == signature_list::stripe || !options_.timestamp_header.empty();
}

/// What is in two lines may have been checked in one of them and read in the other.
std::optional<refusal> hmac_filter::count_lines(request_head const& head) const {
    auto const signatures = head.count(options_.header);
    auto const timestamps = options_.timestamp_header.empty() ? 1 : head.count(options_.timestamp_header);
    if (signatures > 1 || timestamps > 1) return refusal::signature_wrong;
    if (signatures == 0 || timestamps == 0) return refusal::signature_missing;
    bool const is_repeated = std::any_of(options_.signed_fields.begin(), options_.signed_fields.end(),
                                         [&head](std::string const& name) { return head.count(name) > 1; });
    return is_repeated ? std::optional(refusal::signature_wrong) : std::nullopt;
}

hmac_filter::shown_signature hmac_filter::read(request_head const& head) const {
    shown_signature shown;
    shown.refused = count_lines(head);
    if (shown.refused) return shown;
    auto found = read_signatures(head.field(options_.header), options_.list, options_.prefix, options_.encoding);
    auto const timestamp =
        options_.list == signature_list::stripe ? found.timestamp : head.field(options_.timestamp_header);
    if (is_dated()) {
        auto const signed_at = parse_timestamp(timestamp);
        if (!signed_at) shown.refused = refusal::signature_wrong;
        shown.is_expired = signed_at && is_expired(*signed_at);
    }
    if (found.signatures.empty()) shown.refused = refusal::signature_wrong;
    shown.signatures = std::move(found.signatures);
    shown.preamble = signed_before_body(head, timestamp);
    return shown;
}

std::string hmac_filter::signed_before_body(request_head const& head, std::string_view timestamp) const {
    std::string text;
    bool const fields_first = options_.content == signed_content::fields_timestamp_and_body;
    auto const add_fields = [&](std::string_view end) {
        for (auto const& name : options_.signed_fields) text.append(head.field(name)).append(end);
    };
    if (fields_first) add_fields(".");
    if (is_dated()) text.append(timestamp).append(".");
    if (options_.preamble) {
        text.append(options_.preamble(head));
        return text;
    }
    if (options_.content == signed_content::method_target_and_body) {
        text.append(head.method_string()).append("\n").append(head.target()).append("\n");
    }
    if (!fields_first) add_fields("\n");
    return text;
}

std::vector<hmac_key> hmac_filter::find_keys(request_head const& head) const {
    std::vector<hmac_key> keys;
    for (auto& secret : options_.find_secrets(head)) {
        // Anybody could sign with an empty secret.
        if (!secret.empty()) keys.emplace_back(secret);
        wipe(secret);
    }
    return keys;
}

bool hmac_filter::is_expired(std::chrono::seconds signed_at) const {
    using std::chrono::system_clock;
    auto const now = options_.clock ? options_.clock() : system_clock::now();
    auto const distance = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()) - signed_at;
    return std::chrono::abs(distance) > options_.tolerance;
}

filter_result hmac_filter::refuse(refusal what, answered_request const& request) const {
    filter_result said;
    said.answer = style_.refuse({what, {}, {}}, request);
    if (said.answer->result() == http::status::unauthorized) {
        said.answer->set(http::field::www_authenticate, options_.challenge);
    }
    return said;
}

}  // namespace idempo::detail
