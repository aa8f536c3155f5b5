// SPDX-License-Identifier: MIT
#include "common/sync_charges.hpp"
#include "servers/charge_server/deadline_socket.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/refusals.hpp"
#include "servers/charge_server/sessions.hpp"
#include "servers/charge_server/stores.hpp"
#include "servers/charge_server/thread_group.hpp"

#include <idempo/execution.hpp>
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/blocking.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include <exception>
#include <system_error>
#include <utility>

/// \file
/// The synchronous style: a thread for each connection, and `handle(request)`.

namespace {

namespace beast = boost::beast;
using boost::asio::ip::tcp;
using idempo::error_code;

/// The handler as it is, without a middleware around it.
struct bare {
    sync_charges charges;

    http_response operator()(http_request request) const {
        idempo::execution unkeyed;
        return charges(request, unkeyed);
    }
};

template <class Handle>
class sync_session {
public:
    sync_session(session_setup& setup, Handle const& handle, tcp::socket socket)
        : setup_(setup),
          handle_(handle),
          stream_(std::move(socket)) {}

    /// One request after the other, so pipelined ones are answered in their order.
    void run() {
        bool goes_on = true;
        while (goes_on && !setup_.registry.stopping()) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(limits::body);
            error_code error;
            stream_.expires_after(limits::read_time);
            idempo::read_request(stream_, buffer_, parser, setup_.reading(), error);
            if (error) return refuse(error, parser.get());
            goes_on = send(answer(parser.release()));
        }
    }

private:
    /// The call without a completion token rethrows what the handler throws.
    http::message_generator answer(http_request request) const {
        auto const version = request.version();
        auto const keep_alive = request.keep_alive();
        try {
            return handle_(std::move(request));
        } catch (std::exception const&) {
            return answer_exception(setup_.flags.options, version, keep_alive);
        }
    }

    /// Returns whether there may be a next request.
    bool send(http::message_generator handled) {
        auto answer = setup_.last_touch(std::move(handled));
        bool const keep_alive = answer.keep_alive();
        error_code error;
        stream_.expires_after(limits::write_time);
        beast::write(stream_, std::move(answer), error);
        return keep_alive && !error;
    }

    void refuse(error_code error, http_request const& request) {
        auto answer = idempo::answer_read_error(error, request);
        if (!answer) return;
        stream_.expires_after(limits::write_time);
        idempo::answer_and_close(stream_, std::move(*answer), limits::linger, error);
    }

    session_setup& setup_;
    Handle const& handle_;
    deadline_socket stream_;
    beast::flat_buffer buffer_{limits::buffer};
};

template <class Handle>
class sync_sessions final : public sessions {
public:
    sync_sessions(session_setup& setup, Handle handle) : setup_(setup), handle_(std::move(handle)) {}

    void start(tcp::socket socket) override {
        auto place = setup_.registry.enter([handle = socket.native_handle()] { deadline_socket::end_reading(handle); });
        if (!place) return refuse_connection(std::move(socket));
        try {
            threads_.start([this, socket = std::move(socket), place = std::move(place)]() mutable {
                // Destroyed in the reverse order: a registered handle is never that of another connection.
                sync_session<Handle> session(setup_, handle_, std::move(socket));
                auto const left_first = std::move(place);
                session.run();
            });
        } catch (std::system_error const&) {  // no more threads: the connection is closed
        }
    }

private:
    session_setup& setup_;
    Handle handle_;
    thread_group threads_;
};

template <class Handle>
std::unique_ptr<sessions> make(session_setup& setup, Handle handle) {
    return std::make_unique<sync_sessions<Handle>>(setup, std::move(handle));
}

}  // namespace

std::unique_ptr<sessions> make_sync_sessions(session_setup& setup) {
    sync_charges const charges(setup.service);
    if (!setup.flags.use_middleware) return make(setup, bare{charges});
    auto store = idempo::blocking(
        [&](auto executor) { return open_any_store(std::move(executor), setup.flags.store_url, setup.flags.trace); });
    return make(setup, idempo::idempotency(std::move(store), setup.flags.options) | charges);
}
