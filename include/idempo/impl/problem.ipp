#pragma once

#include <idempo/problem.hpp>

#include <boost/beast/http/field.hpp>

#include <string_view>

namespace idempo {

namespace {

constexpr std::string_view draft = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07";

std::string in_draft(std::string_view anchor) { return std::string(draft).append(anchor); }

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
    problems[refusal::key_missing] = {400, "Idempotency-Key is missing", in_draft("#section-2.1")};
    problems[refusal::key_malformed] = {400, "Idempotency-Key is malformed", in_draft("#section-2.1")};
    problems[refusal::body_too_large] = {413, "Content Too Large", "about:blank"};
    problems[refusal::key_reused] = {422, "Idempotency-Key is already used", in_draft("#section-2.2")};
    problems[refusal::in_flight] = {409, "A request is outstanding for this Idempotency-Key", in_draft("#section-2.6")};
    problems[refusal::duplicate] = {409, "Idempotency-Key is already used", in_draft("#section-2.6")};
    problems[refusal::not_retained] = {409, "The response to this request was not retained",
                                       "urn:idempo:problem:response-not-retained"};
    problems[refusal::outcome_unknown] = {409, "The outcome of this request is unknown",
                                          "urn:idempo:problem:outcome-unknown"};
    problems[refusal::store_unavailable] = {503, "Idempotency store is unavailable",
                                            "urn:idempo:problem:store-unavailable"};
    problems[refusal::handler_threw] = {500, "Internal Server Error", "about:blank"};
    problems[refusal::record_unreadable] = {500, "Stored response is unreadable",
                                            "urn:idempo:problem:record-unreadable"};
    problems[refusal::caller_unknown] = {403, "Idempotency-Key needs an identified caller",
                                         "urn:idempo:problem:caller-unknown"};
    problems[refusal::signature_missing] = {401, "The request is not signed", "urn:idempo:problem:signature-missing"};
    problems[refusal::signature_wrong] = {401, "The signature is wrong", "urn:idempo:problem:signature-wrong"};
    problems[refusal::signature_expired] = {401, "The signature has expired", "urn:idempo:problem:signature-expired"};
    problems[refusal::rate_exceeded] = {429, "Too Many Requests", "urn:idempo:problem:rate-exceeded"};
    problems[refusal::limiter_failed] = {503, "Rate limiter is unavailable", "urn:idempo:problem:limiter-unavailable"};
    problems[refusal::client_unknown] = {403, "The client cannot be identified", "urn:idempo:problem:client-unknown"};
    problems[refusal::origin_refused] = {403, "The origin is not allowed", "urn:idempo:problem:origin-refused"};
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

http::response<http::string_body> make_refusal(problem_table const& problems, problem_writer const& write_problem,
                                               refusal_details const& details, unsigned version, bool keep_alive) {
    auto const& problem = problems[details.what];
    http::response<http::string_body> response;
    response.result(problem.status);
    response.version(version);
    response.keep_alive(keep_alive);
    if (details.retry_after) response.set(http::field::retry_after, std::to_string(details.retry_after->count()));
    write_problem(response, problem, details);
    response.prepare_payload();
    return response;
}

}  // namespace idempo
