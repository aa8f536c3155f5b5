#pragma once

#include <idempo/layers/hmac_auth.hpp>

#include <idempo/option_checks.hpp>

#include <openssl/crypto.h>

#include <boost/beast/http/field.hpp>

#include <utility>

namespace idempo::detail {

namespace {

hmac_options checked(hmac_options options) {
    require(options.find_secrets ? options.secret.empty() && options.previous_secret.empty() : !options.secret.empty(),
            "hmac_options needs a secret, or find_secrets alone");
    require(is_token(options.header), "hmac_options.header must be a field name");
    require(options.timestamp_header.empty() || is_token(options.timestamp_header),
            "hmac_options.timestamp_header must be empty or a field name");
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

hmac_gate::hmac_gate(hmac_options options)
    : options_(checked(std::move(options))),
      style_{std::move(options_.problems), std::move(options_.write_problem), std::move(options_.observer)} {
    for (auto* const secret : {&options_.secret, &options_.previous_secret}) {
        if (!secret->empty()) keys_.emplace_back(*secret);
        wipe(*secret);
    }
}

hmac_gate::shown_signature hmac_gate::read(request_head const& head) const {
    shown_signature shown;
    bool const is_dated = !options_.timestamp_header.empty();
    auto const signatures = head.count(options_.header);
    auto const timestamps = is_dated ? head.count(options_.timestamp_header) : 1;
    if (signatures == 0 || timestamps == 0) shown.refused = refusal::signature_missing;
    if (signatures > 1 || timestamps > 1) shown.refused = refusal::signature_wrong;
    if (shown.refused) return shown;

    auto const decoded = decode_signature(head.field(options_.header), options_.prefix, options_.encoding);
    if (decoded) shown.signature = *decoded;
    if (is_dated) {
        auto const written = head.field(options_.timestamp_header);
        auto const signed_at = parse_timestamp(written);
        if (!signed_at) shown.refused = refusal::signature_wrong;
        shown.is_expired = signed_at && is_expired(*signed_at);
        if (!options_.preamble) shown.preamble.append(written).append(".");
    }
    if (!decoded) shown.refused = refusal::signature_wrong;
    if (options_.preamble) {
        shown.preamble = options_.preamble(head);
    } else if (options_.content == signed_content::method_target_and_body) {
        shown.preamble.append(head.method_string()).append("\n").append(head.target()).append("\n");
    }
    return shown;
}

std::vector<hmac_key> hmac_gate::find_keys(request_head const& head) const {
    std::vector<hmac_key> keys;
    for (auto& secret : options_.find_secrets(head)) {
        // Anybody could sign with an empty secret.
        if (!secret.empty()) keys.emplace_back(secret);
        wipe(secret);
    }
    return keys;
}

bool hmac_gate::is_expired(std::chrono::seconds signed_at) const {
    using std::chrono::system_clock;
    auto const now = options_.clock ? options_.clock() : system_clock::now();
    auto const distance = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()) - signed_at;
    return std::chrono::abs(distance) > options_.tolerance;
}

verdict hmac_gate::refuse(refusal what, answered_request const& request) const {
    verdict said;
    said.answer = style_.refuse({what, {}, {}}, request);
    if (said.answer->result() == http::status::unauthorized) {
        said.answer->set(http::field::www_authenticate, options_.challenge);
    }
    return said;
}

}  // namespace idempo::detail
