// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/problem.hpp>

#include <boost/beast/http/field.hpp>

#include <string_view>

namespace idempo {

namespace {

constexpr std::string_view draft = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07";

/// Section 2.7 has all the errors.
std::string error_section() { return std::string(draft) + "#section-2.7"; }

/// The text with the name of the key's field.
std::string with_field(std::string_view text, std::string_view field) {
    constexpr std::string_view placeholder = "{field}";
    std::string written;
    for (auto at = text.find(placeholder); at != std::string_view::npos; at = text.find(placeholder)) {
        written.append(text.substr(0, at)).append(field);
        text.remove_prefix(at + placeholder.size());
    }
    written.append(text);
    return written;
}

/// Quotes and escapes for JSON (RFC 8259, section 7); titles and types are the application's own text.
void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    for (char const character : text) {
        auto const code = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\') {
            out += '\\';
            out += character;
        } else if (code < 0x20) {
            out += "\\u00";
            out += digits[code >> 4U];
            out += digits[code & 0xFU];
        } else {
            out += character;
        }
    }
    out += '"';
}

/// The draft's refusals of a key are the caller's errors about idempotency; the rest have Stripe's general types.
std::string_view stripe_type(refusal what) noexcept {
    switch (what) {
    case refusal::key_reused:
    case refusal::in_flight:
    case refusal::duplicate:
    case refusal::not_retained:
    case refusal::key_expired:
    case refusal::outcome_unknown: return "idempotency_error";
    case refusal::key_missing:
    case refusal::key_malformed:
    case refusal::body_too_large:
    case refusal::caller_unknown:
    case refusal::signature_missing:
    case refusal::signature_wrong:
    case refusal::signature_expired:
    case refusal::rate_exceeded:
    case refusal::client_unknown:
    case refusal::origin_refused: return "invalid_request_error";
    default: return "api_error";
    }
}

}  // namespace

problem_table::problem_table() {
    auto& problems = *this;
    problems[refusal::key_missing] = {400, "{field} is missing", error_section(),
                                      "Send the request with a {field} field, with a new key for each operation."};
    problems[refusal::key_malformed] = {400, "{field} is malformed", error_section(),
                                        "Send exactly one {field} field with one valid key, a UUID for example."};
    problems[refusal::body_too_large] = {413, "Content Too Large", "about:blank", "Send a smaller body."};
    problems[refusal::key_reused] = {422, "{field} is already used", error_section(),
                                     "Use a new key for a new request, or repeat the first request unchanged."};
    problems[refusal::in_flight] = {409, "A request is outstanding for this {field}", error_section(),
                                    "Wait as long as Retry-After says, then send the same request again."};
    problems[refusal::duplicate] = {409, "{field} is already used", error_section(),
                                    "The request has been accepted before: do not send it again."};
    problems[refusal::not_retained] = {
        409, "The response to this request was not retained", "urn:idempo:problem:response-not-retained",
        "The request was completed before: look up its result, and do not send it again."};
    problems[refusal::key_expired] = {
        410, "{field} has expired", "urn:idempo:problem:key-expired",
        "The key was used before: look up what became of that request, and use a new key for a new operation."};
    problems[refusal::outcome_unknown] = {
        409, "The outcome of this request is unknown", "urn:idempo:problem:outcome-unknown",
        "The request may have taken effect: do not send it under a new key before you know. With this key it "
        "does not run again."};
    problems[refusal::store_unavailable] = {503, "Idempotency store is unavailable",
                                            "urn:idempo:problem:store-unavailable",
                                            "Send the same request again, after as long as Retry-After says."};
    problems[refusal::handler_threw] = {500, "Internal Server Error", "about:blank",
                                        "Send the same request again later, with the same key if it had one."};
    problems[refusal::record_unreadable] = {500, "Stored response is unreadable",
                                            "urn:idempo:problem:record-unreadable",
                                            "The request was completed before: ask the operator for its result."};
    problems[refusal::caller_unknown] = {403, "{field} needs an identified caller", "urn:idempo:problem:caller-unknown",
                                         "Send the request with credentials that identify you."};
    problems[refusal::signature_missing] = {401, "The request is not signed", "urn:idempo:problem:signature-missing",
                                            "Sign the request."};
    problems[refusal::signature_wrong] = {401, "The signature is wrong", "urn:idempo:problem:signature-wrong",
                                          "Check the secret and what is signed, and sign the request again."};
    problems[refusal::signature_expired] = {401, "The signature has expired", "urn:idempo:problem:signature-expired",
                                            "Sign the request again, with the current time."};
    problems[refusal::rate_exceeded] = {429, "Too Many Requests", "urn:idempo:problem:rate-exceeded",
                                        "Wait as long as Retry-After says."};
    problems[refusal::limiter_failed] = {503, "Rate limiter is unavailable", "urn:idempo:problem:limiter-unavailable",
                                         "Send the same request again, after as long as Retry-After says."};
    problems[refusal::client_unknown] = {403, "The client cannot be identified", "urn:idempo:problem:client-unknown",
                                         "Send the request with what identifies you."};
    problems[refusal::origin_refused] = {403, "The origin is not allowed", "urn:idempo:problem:origin-refused",
                                         "Ask the operator of the service to allow the origin."};
    problems[refusal::shutting_down] = {503, "The service is shutting down", "urn:idempo:problem:shutting-down",
                                        "Send the same request again, on a new connection."};
}

void write_problem_json(http::response<http::string_body>& response, problem const& problem,
                        refusal_details const& details) {
    response.set(http::field::content_type, "application/problem+json");
    response.set(http::field::content_language, "en");
    auto& body = response.body();
    body = "{\"type\":";
    append_json_string(body, problem.type);
    body += ",\"title\":";
    append_json_string(body, problem.title);
    body += ",\"status\":" + std::to_string(problem.status);
    if (!problem.detail.empty()) {
        body += ",\"detail\":";
        append_json_string(body, problem.detail);
    }
    if (details.original_status) body += ",\"original_status\":" + std::to_string(*details.original_status);
    body += '}';
}

void write_stripe_error(http::response<http::string_body>& response, problem const& problem,
                        refusal_details const& details) {
    response.set(http::field::content_type, "application/json");
    auto& body = response.body();
    body = "{\"error\":{\"type\":";
    append_json_string(body, stripe_type(details.what));
    if (details.what == refusal::in_flight) body += ",\"code\":\"idempotency_key_in_use\"";
    body += ",\"message\":";
    append_json_string(body, problem.title);
    if (details.original_status) body += ",\"original_status\":" + std::to_string(*details.original_status);
    body += "}}";
}

bool is_final(refusal what) noexcept {
    switch (what) {
    case refusal::key_missing:
    case refusal::key_malformed:
    case refusal::body_too_large:
    case refusal::key_reused:
    case refusal::duplicate:
    case refusal::not_retained:
    case refusal::key_expired:
    case refusal::outcome_unknown:
    case refusal::record_unreadable: return true;
    default: return false;
    }
}

namespace {

http::response<http::string_body> begin_refusal(problem const& problem, refusal_details const& details,
                                                unsigned version, bool keep_alive) {
    http::response<http::string_body> response;
    response.result(problem.status);
    response.version(version);
    response.keep_alive(keep_alive);
    if (details.retry_after) response.set(http::field::retry_after, std::to_string(details.retry_after->count()));
    return response;
}

}  // namespace

http::response<http::string_body> make_refusal(problem_table const& problems, problem_writer const& write_problem,
                                               refusal_details const& details, unsigned version, bool keep_alive) {
    auto problem = problems[details.what];
    problem.title = with_field(problem.title, details.field);
    problem.detail = with_field(problem.detail, details.field);
    auto response = begin_refusal(problem, details, version, keep_alive);
    try {
        write_problem(response, problem, details);
    } catch (...) {  // the client must get an answer; what was written of it may be half of one
        response = begin_refusal(problem, details, version, keep_alive);
        write_problem_json(response, problem, details);
    }
    response.prepare_payload();
    return response;
}

http::response<http::string_body> make_refusal(problem_table const& problems, problem_writer const& write_problem,
                                               refusal_details const& details,
                                               detail::answered_request const& request) {
    auto response = make_refusal(problems, write_problem, details, request.version, request.keep_alive);
    request.fit(response);
    return response;
}

}  // namespace idempo
