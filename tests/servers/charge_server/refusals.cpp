#include "servers/charge_server/refusals.hpp"

#include <idempo/problem.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/write.hpp>

http_response answer_exception(idempo::options const& options, unsigned version, bool keep_alive) {
    idempo::refusal_details const details{idempo::refusal::handler_threw, {}, {}};
    return idempo::make_refusal(options.problems, options.write_problem, details, version, keep_alive);
}

void refuse_connection(boost::asio::ip::tcp::socket socket) {
    auto answer = problem_response(503, "Too Many Connections", 11, false);
    answer.set(http::field::retry_after, "1");
    boost::system::error_code ignored;  // best effort: nobody waits for a client that does not take it
    socket.non_blocking(true, ignored);
    http::write(socket, answer, ignored);
    socket.shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
}
