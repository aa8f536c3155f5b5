// SPDX-License-Identifier: MIT
#include "servers/charge_server/refusals.hpp"

#include "servers/charge_server/limits.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/problem.hpp>

#include <boost/beast/http/field.hpp>

#include <memory>
#include <utility>

http_response answer_exception(idempo::options const& options, unsigned version, bool keep_alive) {
    idempo::refusal_details const details{idempo::refusal::handler_threw, {}, {}};
    return idempo::make_refusal(options.problems, options.write_problem, details, version, keep_alive);
}

void refuse_connection(boost::asio::ip::tcp::socket socket) {
    auto answer = problem_response(503, "Too Many Connections", 11, false);
    answer.set(http::field::retry_after, "1");
    auto const refused = std::make_shared<boost::asio::ip::tcp::socket>(std::move(socket));
    idempo::async_answer_and_close(*refused, std::move(answer), limits::short_linger,
                                   [refused](boost::system::error_code) {});
}
