// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer_fwd.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/request_head.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>
#include <utility>

/// \file
/// A filter inspects a request before the handler and either passes it on or answers it. It may add fields to the
/// response. `layers/filtered.hpp` puts one before a handler of any kind, in any style of call.
///
/// A filter has `is_asynchronous`, `observer()`, and
/// - `filter_result check(Request const&) const`, where it can say at once, or
/// - `async_check(Request const&, Done) const` and `get_executor()`, where it has to ask: `done(filter_result)`, from
///   within the call or as if by post, later. The request is not looked at after the call.
///
/// Its `result_type` is `filter_result`, or has the same members.

namespace idempo::detail {

namespace http = boost::beast::http;

/// What a filter says of one request.
struct filter_result {
    /// Empty: the request may pass.
    std::optional<http::response<http::string_body>> answer;
    /// For the answer, and for whatever response passes.
    response_fields fields;
};

/// What the options of all filters have: how a refusal looks, and who is told.
struct refusal_style {
    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};

    [[nodiscard]] http::response<http::string_body> refuse(refusal_details const& details,
                                                           answered_request const& request) const;
};

}  // namespace idempo::detail
