#pragma once

#include <idempo/observer.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/response_fields.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <exception>
#include <optional>
#include <utility>

/// \file
/// A gate inspects a request before the handler and either passes it on or answers it. It may add fields to the
/// response. `layers/gated.hpp` puts one before a handler of any kind, in any style of call.
///
/// A gate has `is_asynchronous`, `observer()`, and
/// - `verdict check(Request const&) const`, where it can say at once, or
/// - `async_check(Request const&, Done) const` and `get_executor()`, where it has to ask: `done(verdict)`, from within
///   the call or as if by post, later. The request is not looked at after the call.

namespace idempo::detail {

namespace http = boost::beast::http;

/// What a gate says of one request.
struct verdict {
    /// Empty: the request may pass.
    std::optional<http::response<http::string_body>> answer;
    /// For the answer, and for whatever response passes.
    response_fields fields;
};

/// What an answer takes over from the request that it answers.
struct answered_request {
    unsigned version;
    bool keep_alive;
    bool is_head;

    template <class Request>
    explicit answered_request(Request const& request)
        : version(request.version()),
          keep_alive(request.keep_alive()),
          is_head(request.method() == http::verb::head) {}
};

/// What the options of all gates have: how a refusal looks, and who is told.
struct refusal_style {
    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};

    [[nodiscard]] http::response<http::string_body> refuse(refusal_details const& details,
                                                           answered_request const& request) const {
        auto response = make_refusal(problems, write_problem, details, request.version, request.keep_alive);
        if (request.is_head) response.body().clear();  // its length stays: it is that of the answer to a GET
        event event;
        event.type = event_type::refused;
        event.status = response.result_int();
        notify(observer, event);
        return response;
    }
};

inline void tell_exception(idempo::observer const& observer, std::exception_ptr exception) {
    event event;
    event.type = event_type::handler_threw;
    event.step = event_step::handler;
    event.exception = std::move(exception);
    notify(observer, event);
}

}  // namespace idempo::detail
