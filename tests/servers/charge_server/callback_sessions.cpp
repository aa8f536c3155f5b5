// SPDX-License-Identifier: MIT
#include "common/callback_charges.hpp"
#include "servers/charge_server/connection.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/refusals.hpp"
#include "servers/charge_server/sessions.hpp"
#include "servers/charge_server/stores.hpp"

#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/write.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

/// \file
/// The callback style: `handle(request, callback)`, one callback after the other.

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using idempo::error_code;

/// The completion of a handler without middleware: the session, which does not handle exceptions.
template <class Answer>
struct bare_answer {
    Answer answer;
    std::shared_ptr<idempo::execution> unkeyed;  // has to live until the handler has answered
    idempo::options const* options;
    unsigned version;
    bool keep_alive;

    void operator()(http::message_generator message) { answer(std::move(message)); }
    void operator()(std::exception_ptr) { answer(answer_exception(*options, version, keep_alive)); }
};

/// The handler as it is, without a middleware around it.
struct bare {
    callback_charges charges;
    idempo::options const* options;

    template <class Answer>
    void operator()(http_request request, Answer answer) const {
        auto unkeyed = std::make_shared<idempo::execution>();
        auto const executor = asio::get_associated_executor(answer);
        auto shared = std::make_shared<bare_answer<Answer>>(
            bare_answer<Answer>{std::move(answer), unkeyed, options, request.version(), request.keep_alive()});
        try {
            charges(request, *unkeyed, asio::bind_executor(executor, [shared](auto&& outcome) {
                        (*shared)(std::forward<decltype(outcome)>(outcome));
                    }));
        } catch (std::exception const&) {
            (*shared)(std::current_exception());
        }
    }
};

template <class Handle, class Executor>
class callback_session : public std::enable_shared_from_this<callback_session<Handle, Executor>> {
public:
    callback_session(session_setup& setup, Handle handle, std::shared_ptr<basic_connection<Executor>> connection)
        : setup_(setup),
          handle_(std::move(handle)),
          connection_(std::move(connection)) {}

    void start() { asio::dispatch(connection_->stream.get_executor(), next(&callback_session::read)); }

private:
    template <class... Bound>
    auto next(Bound... bound) {
        return beast::bind_front_handler(bound..., this->shared_from_this());
    }

    void read() {
        if (setup_.registry.stopping()) return;
        auto& parser = connection_->begin_request();
        idempo::async_read_request(connection_->stream, connection_->buffer, parser, setup_.reading(),
                                   next(&callback_session::handle));
    }

    void handle(error_code error, std::size_t) {
        connection_->reading = false;
        if (error) return refuse(error);
        handle_(connection_->parser.value().release(),
                asio::bind_executor(connection_->stream.get_executor(), next(&callback_session::send)));
    }

    void send(http::message_generator handled) {
        auto answer = setup_.last_touch(std::move(handled));
        bool const keep_alive = answer.keep_alive();
        connection_->stream.expires_after(limits::write_time);
        beast::async_write(connection_->stream, std::move(answer),
                           beast::bind_front_handler(&callback_session::sent, this->shared_from_this(), keep_alive));
    }

    void sent(bool keep_alive, error_code error, std::size_t) {
        if (keep_alive && !error) read();
    }

    void refuse(error_code error) {
        auto answer = idempo::answer_read_error(error, connection_->parser->get());
        if (!answer) return;
        idempo::async_answer_and_close(connection_->stream, std::move(*answer), limits::linger,
                                       [self = this->shared_from_this()](error_code) {});
    }

    session_setup& setup_;
    Handle handle_;
    std::shared_ptr<basic_connection<Executor>> connection_;
};

template <class Handle, class Executor>
class callback_sessions final : public sessions {
    using session = callback_session<Handle, Executor>;

public:
    callback_sessions(session_setup& setup, Handle handle) : setup_(setup), handle_(std::move(handle)) {}

    void start(tcp::socket socket) override {
        auto opened = open_connection<Executor>(setup_, std::move(socket));
        if (opened) std::make_shared<session>(setup_, handle_, std::move(opened))->start();
    }

private:
    session_setup& setup_;
    Handle handle_;
};

template <class Handle>
std::unique_ptr<sessions> make(session_setup& setup, Handle handle) {
    if (setup.flags.threads > 1) {
        return std::make_unique<callback_sessions<Handle, asio::any_io_executor>>(setup, std::move(handle));
    }
    return std::make_unique<callback_sessions<Handle, event_loop>>(setup, std::move(handle));
}

}  // namespace

std::unique_ptr<sessions> make_callback_sessions(session_setup& setup, asio::io_context& context) {
    auto const& options = setup.flags.options;
    callback_charges const charges(setup.service);
    if (!setup.flags.use_middleware) return make(setup, bare{charges, &options});
    auto store = open_any_store(context.get_executor(), setup.flags.store_url, setup.flags.trace);
    return make(setup, idempo::idempotency(std::move(store), options) | idempo::async_handler(charges));
}
