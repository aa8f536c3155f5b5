#include <idempo/problem.hpp>

#include "support/catch.hpp"

#include <set>
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
        {refusal::key_missing, 400, "Idempotency-Key is missing", draft + "#section-2.1"},
        {refusal::key_malformed, 400, "Idempotency-Key is malformed", draft + "#section-2.1"},
        {refusal::body_too_large, 413, "Content Too Large", "about:blank"},
        {refusal::key_reused, 422, "Idempotency-Key is already used", draft + "#section-2.2"},
        {refusal::in_flight, 409, "A request is outstanding for this Idempotency-Key", draft + "#section-2.6"},
        {refusal::duplicate, 409, "Idempotency-Key is already used", draft + "#section-2.6"},
        {refusal::not_retained, 409, "The response to this request was not retained",
         "urn:idempo:problem:response-not-retained"},
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
    };
    CHECK(rows.size() == idempo::refusal_count);
    for (auto const& row : rows) {
        auto const response = refuse({row.what, {}, {}});
        CHECK(response.result_int() == row.status);
        CHECK(response.body() == R"({"type":")" + row.type + R"(","title":")" + row.title + R"(","status":)" +
                                     std::to_string(row.status) + "}");
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
