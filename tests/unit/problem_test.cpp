// SPDX-License-Identifier: MIT
#include <idempo/problem.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace http = boost::beast::http;
using idempo::refusal;

http::response<http::string_body> refuse(idempo::refusal_details const& details,
                                         idempo::problem_writer const& writer = idempo::write_problem_json) {
    return make_refusal(idempo::problem_table(), writer, details, 11, true);
}

std::string const draft = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07";

}  // namespace

TEST_CASE("problem: each refusal as the design's table has it", "[problem]") {
    struct row {
        refusal what;
        unsigned status;
        std::string title;
        std::string type;
    };
    std::vector<row> const rows{
        {refusal::key_missing, 400, "Idempotency-Key is missing", draft + "#section-2.7"},
        {refusal::key_malformed, 400, "Idempotency-Key is malformed", draft + "#section-2.7"},
        {refusal::body_too_large, 413, "Content Too Large", "about:blank"},
        {refusal::key_reused, 422, "Idempotency-Key is already used", draft + "#section-2.7"},
        {refusal::in_flight, 409, "A request is outstanding for this Idempotency-Key", draft + "#section-2.7"},
        {refusal::duplicate, 409, "Idempotency-Key is already used", draft + "#section-2.7"},
        {refusal::not_retained, 409, "The response to this request was not retained",
         "urn:idempo:problem:response-not-retained"},
        {refusal::key_expired, 410, "Idempotency-Key has expired", "urn:idempo:problem:key-expired"},
        {refusal::outcome_unknown, 409, "The outcome of this request is unknown", "urn:idempo:problem:outcome-unknown"},
        {refusal::store_unavailable, 503, "Idempotency store is unavailable", "urn:idempo:problem:store-unavailable"},
        {refusal::handler_threw, 500, "Internal Server Error", "about:blank"},
        {refusal::record_unreadable, 500, "Stored response is unreadable", "urn:idempo:problem:record-unreadable"},
        {refusal::caller_unknown, 403, "Idempotency-Key needs an identified caller",
         "urn:idempo:problem:caller-unknown"},
        {refusal::signature_missing, 401, "The request is not signed", "urn:idempo:problem:signature-missing"},
        {refusal::signature_wrong, 401, "The signature is wrong", "urn:idempo:problem:signature-wrong"},
        {refusal::signature_expired, 401, "The signature has expired", "urn:idempo:problem:signature-expired"},
        {refusal::rate_exceeded, 429, "Too Many Requests", "urn:idempo:problem:rate-exceeded"},
        {refusal::limiter_failed, 503, "Rate limiter is unavailable", "urn:idempo:problem:limiter-unavailable"},
        {refusal::client_unknown, 403, "The client cannot be identified", "urn:idempo:problem:client-unknown"},
        {refusal::origin_refused, 403, "The origin is not allowed", "urn:idempo:problem:origin-refused"},
        {refusal::shutting_down, 503, "The service is shutting down", "urn:idempo:problem:shutting-down"},
    };
    CHECK(rows.size() == idempo::refusal_count);
    for (auto const& row : rows) {
        auto const response = refuse({row.what, {}, {}});
        CHECK(response.result_int() == row.status);
        auto const beginning = R"({"type":")" + row.type + R"(","title":")" + row.title + R"(","status":)" +
                               std::to_string(row.status) + R"(,"detail":")";
        CHECK(response.body().starts_with(beginning));
        // One sentence, which names no placeholder.
        CHECK(response.body().size() > beginning.size() + 10);
        CHECK(response.body().ends_with(".\"}"));
        CHECK(response.body().find('{', 1) == std::string::npos);
        CHECK(response[http::field::content_type] == "application/problem+json");
        CHECK(response[http::field::content_language] == "en");
        CHECK(response[http::field::content_length] == std::to_string(response.body().size()));
        CHECK(response.count(http::field::retry_after) == 0);
    }
}

TEST_CASE("problem: retry-after and original status appear where they apply", "[problem]") {
    auto const response = refuse({refusal::not_retained, std::chrono::seconds{3}, 201});
    CHECK(response[http::field::retry_after] == "3");
    CHECK(response.body().find(R"("original_status":201})") != std::string::npos);
    CHECK(refuse({refusal::not_retained, {}, 201}, idempo::write_stripe_error)
              .body()
              .find(R"("original_status":201}})") != std::string::npos);
}

TEST_CASE("problem: version and keep-alive are the request's", "[problem]") {
    idempo::problem_table const problems;
    auto const make = [&](unsigned version, bool keep_alive) {
        return make_refusal(problems, idempo::write_problem_json, {}, version, keep_alive);
    };
    CHECK(make(10, true).version() == 10);
    CHECK(make(10, true).keep_alive());
    CHECK_FALSE(make(10, false).keep_alive());
    CHECK(make(11, true).keep_alive());
    CHECK_FALSE(make(11, false).keep_alive());
}

TEST_CASE("problem: the application's text is quoted as JSON wants it", "[problem]") {
    idempo::problem_table problems;
    problems[refusal::in_flight] = {409, "a \"b\" \\ \n\x01\x1f\x7f \xC3\xA9", "t\t"};
    auto const response = make_refusal(problems, idempo::write_problem_json, {}, 11, true);
    CHECK(response.body() == "{\"type\":\"t\\u0009\",\"title\":\"a \\\"b\\\" \\\\ \\u000a\\u0001\\u001f\x7f \xC3\xA9\","
                             "\"status\":409}");
}

TEST_CASE("problem: Stripe's errors have the type that its SDKs look for", "[problem][stripe]") {
    std::vector<std::pair<refusal, std::string>> const types{
        {refusal::key_missing, "invalid_request_error"},
        {refusal::key_malformed, "invalid_request_error"},
        {refusal::body_too_large, "invalid_request_error"},
        {refusal::caller_unknown, "invalid_request_error"},
        {refusal::key_reused, "idempotency_error"},
        {refusal::in_flight, "idempotency_error"},
        {refusal::duplicate, "idempotency_error"},
        {refusal::not_retained, "idempotency_error"},
        {refusal::key_expired, "idempotency_error"},
        {refusal::outcome_unknown, "idempotency_error"},
        {refusal::store_unavailable, "api_error"},
        {refusal::handler_threw, "api_error"},
        {refusal::record_unreadable, "api_error"},
        {refusal::signature_missing, "invalid_request_error"},
        {refusal::signature_wrong, "invalid_request_error"},
        {refusal::signature_expired, "invalid_request_error"},
        {refusal::rate_exceeded, "invalid_request_error"},
        {refusal::limiter_failed, "api_error"},
        {refusal::client_unknown, "invalid_request_error"},
        {refusal::origin_refused, "invalid_request_error"},
        {refusal::shutting_down, "api_error"},
    };
    CHECK(types.size() == idempo::refusal_count);
    for (auto const& [what, type] : types) {
        auto const response = refuse({what, {}, {}}, idempo::write_stripe_error);
        CHECK(response[http::field::content_type] == "application/json");
        CHECK(response.body().rfind(R"({"error":{"type":")" + type + '"', 0) == 0);
        CHECK((response.body().find("idempotency_key_in_use") != std::string::npos) == (what == refusal::in_flight));
    }
}

TEST_CASE("problem: a writer of one's own has the last word", "[problem]") {
    auto const response = refuse({refusal::in_flight, {}, {}}, [](auto& made, auto const& problem, auto const&) {
        made.set(http::field::content_type, "text/plain");
        made.body() = problem.title;
    });
    CHECK(response.result_int() == 409);
    CHECK(response[http::field::content_type] == "text/plain");
    CHECK(response[http::field::content_length] == std::to_string(response.body().size()));
}

TEST_CASE("problem: the title and the detail name the field in use", "[problem]") {
    idempo::refusal_details details{refusal::key_missing, {}, {}};
    details.field = "PayPal-Request-Id";
    auto const body = refuse(details).body();
    CHECK(body.find(R"("title":"PayPal-Request-Id is missing")") != std::string::npos);
    CHECK(body.find("Send the request with a PayPal-Request-Id field") != std::string::npos);
    CHECK(body.find("Idempotency-Key") == std::string::npos);
}

TEST_CASE("problem: a writer that throws is replaced by the default one", "[problem]") {
    auto const writer = [](auto& response, auto const&, auto const&) {
        response.set("X-Half", "written");
        response.body() = "half";
        throw std::runtime_error("no template");
    };
    auto const response = refuse({refusal::in_flight, std::chrono::seconds{1}, {}}, writer);
    auto const expected = refuse({refusal::in_flight, std::chrono::seconds{1}, {}});
    CHECK(response.body() == expected.body());
    CHECK(response.count("X-Half") == 0);
    CHECK(response[http::field::retry_after] == "1");
}

TEST_CASE("problem: a writer sees the request that is refused", "[problem]") {
    http::request<http::string_body> request(http::verb::post, "/charge", 11);
    request.set("X-Request-Id", "r-1");
    idempo::request_head const head(request);
    idempo::refusal_details details{refusal::in_flight, {}, {}};
    details.request = &head;
    auto const response = refuse(details, [](auto& written, auto const&, idempo::refusal_details const& of) {
        written.set("X-Request-Id", of.request->field("X-Request-Id"));
    });
    CHECK(response["X-Request-Id"] == "r-1");
}

TEST_CASE("problem: an answer to HEAD has the length of a body, and none", "[problem]") {
    http::request<http::string_body> const request(http::verb::head, "/charge", 11);
    auto const response = make_refusal(idempo::problem_table(), idempo::write_problem_json,
                                       {refusal::store_unavailable, {}, {}}, idempo::detail::answered_request(request));
    CHECK(response.body().empty());
    CHECK(response[http::field::content_length] ==
          std::to_string(refuse({refusal::store_unavailable, {}, {}}).body().size()));
}

TEST_CASE("problem: what a retry cannot change", "[problem]") {
    std::set<refusal> const final_ones{refusal::key_missing,     refusal::key_malformed,     refusal::body_too_large,
                                       refusal::key_reused,      refusal::duplicate,         refusal::not_retained,
                                       refusal::outcome_unknown, refusal::record_unreadable, refusal::key_expired};
    for (std::size_t number = 0; number < idempo::refusal_count; ++number) {
        auto const what = static_cast<refusal>(number);
        CHECK(idempo::is_final(what) == final_ones.contains(what));
    }
}
