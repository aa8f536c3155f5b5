// SPDX-License-Identifier: MIT
#include "common/charge_order.hpp"
#include "common/port.hpp"
#include "common/responses.hpp"
#include "common/sync_session.hpp"

#include <idempo/execution.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include <nlohmann/json.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <atomic>
#include <iostream>
#include <string>

/// \file
/// Guard mode: every further use of a key is refused, whatever its body, and nothing is replayed. For clients that only
/// need to know that a request was not processed twice.
///
///     POST /payments  {"amount":42}   X-Idempotency-Key: …    201, and 409 for every further request with the key
///     GET  /payments                                          how many there are

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
        auto answered = answer(request, execution);
        if (request.method() == http::verb::head) remove_body_for_head(answered);
        return answered;
    }

private:
    http_response answer(http_request const& request, idempo::execution const& execution) {
        auto const say = [&request](unsigned status, nlohmann::json const& body) {
            return json_response(status, body.dump(), request.version(), request.keep_alive());
        };
        bool const reads = request.method() == http::verb::get || request.method() == http::verb::head;
        if (request.target() != "/payments") return say(404, {{"error", "no such resource"}});
        if (reads) return say(200, {{"count", count_.load()}});
        if (request.method() != http::verb::post) return refuse_method(say(405, {{"error", "POST, GET or HEAD"}}));
        auto const amount = parse_amount(request.body());
        if (!amount) return say(400, {{"error", "the amount must be a positive whole number"}});  // frees the key
        return say(201, {{"payment", ++count_}, {"amount", *amount}, {"key", std::string(execution.key())}});
    }

    static http_response refuse_method(http_response answered) {
        answered.set(http::field::allow, "POST, GET, HEAD");
        return answered;
    }

    std::atomic<int> count_{0};
};

}  // namespace

int main(int argument_count, char** arguments) {
    payments payments;
    auto const handle = idempo::idempotency(idempo::memory_store(), guard_options()) |
                        [&payments](http_request const& request, idempo::execution const& execution) {
                            return payments(request, execution);
                        };

    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    serve_forever(acceptor, handle);
}
