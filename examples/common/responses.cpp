// SPDX-License-Identifier: MIT
#include "common/responses.hpp"

#include <idempo/problem.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/version.hpp>

#include <utility>

namespace {

http_response empty_response(unsigned status, unsigned version, bool keep_alive) {
    http_response answer;
    answer.result(status);
    answer.version(version);
    answer.keep_alive(keep_alive);
    answer.set(http::field::server, BOOST_BEAST_VERSION_STRING);
    return answer;
}

}  // namespace

http_response json_response(unsigned status, std::string json, unsigned version, bool keep_alive) {
    auto answer = empty_response(status, version, keep_alive);
    if (status != 204 && status != 205 && status != 304) {
        answer.set(http::field::content_type, "application/json");
        answer.body() = std::move(json);
    }
    answer.prepare_payload();
    return answer;
}

http_response problem_response(unsigned status, std::string_view title, unsigned version, bool keep_alive) {
    auto answer = empty_response(status, version, keep_alive);
    idempo::write_problem_json(answer, {status, std::string(title), "about:blank"}, {});
    answer.prepare_payload();
    return answer;
}

void remove_body_for_head(http_response& answer) {
    answer.content_length(answer.body().size());
    answer.body().clear();
}
