#include "common/charge_order.hpp"
#include "common/port.hpp"
#include "common/responses.hpp"

#include <idempo/execution.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include <nlohmann/json.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/http/write.hpp>

#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

/// \file
/// Guard mode: every further use of a key is refused, whatever its body, and nothing is replayed. For clients that only
/// need to know that a request was not processed twice.
///
///     POST /payments  {"amount":42}   X-Idempotency-Key: …    201, and 409 for every further request with the key
///     GET  /payments                                          how many there are

namespace beast = boost::beast;
using boost::asio::ip::tcp;

namespace {

idempo::options guard_options() {
    return {
        .header = "X-Idempotency-Key",
        .require_key = true,
        .scope = idempo::scope::single_tenant(),  // this server does not tell callers apart
        .on_duplicate = idempo::on_duplicate::reject,
    };
}

/// Returns the key under which it ran; the library has parsed it already.
class payments {
public:
    http_response operator()(http_request const& request, idempo::execution const& execution) {
        auto const answer = [&request](unsigned status, nlohmann::json const& body) {
            return json_response(status, body.dump(), request.version(), request.keep_alive());
        };
        if (request.target() != "/payments") return answer(404, {{"error", "no such resource"}});
        if (request.method() == http::verb::get) return answer(200, {{"count", count_.load()}});
        if (request.method() != http::verb::post) return answer(405, {{"error", "POST or GET"}});
        auto const amount = parse_amount(request.body());
        if (!amount) return answer(400, {{"error", "the amount must be a positive whole number"}});  // frees the key
        return answer(201, {{"payment", ++count_}, {"amount", *amount}, {"key", std::string(execution.key())}});
    }

private:
    std::atomic<int> count_{0};
};

template <class Handle>
void serve(tcp::socket& socket, Handle const& handle) {
    beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        beast::error_code error;
        idempo::read_request(socket, buffer, parser, error);
        if (error) {
            auto const answer = idempo::answer_read_error(error);
            if (answer) http::write(socket, *answer, error);
            return;
        }
        http::message_generator message = handle(parser.release());
        keep_alive = message.keep_alive();
        beast::write(socket, std::move(message));
    }
}

template <class Handle>
void session(tcp::socket socket, Handle const& handle) {
    try {
        serve(socket, handle);
    } catch (std::exception const& error) {  // the client is gone
        std::cerr << error.what() << std::endl;
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    payments payments;
    auto const handle = idempo::idempotency(idempo::memory_store(), guard_options()) |
                        [&payments](http_request const& request, idempo::execution const& execution) {
                            return payments(request, execution);
                        };

    boost::asio::io_context context;
    tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    while (true) {
        // Detached for brevity; charge_server joins its threads.
        std::thread([&handle, socket = acceptor.accept()]() mutable { session(std::move(socket), handle); }).detach();
    }
}
