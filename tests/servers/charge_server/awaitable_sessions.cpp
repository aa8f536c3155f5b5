// SPDX-License-Identifier: MIT
#include "common/awaitable_charges.hpp"
#include "servers/charge_server/connection.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/refusals.hpp"
#include "servers/charge_server/sessions.hpp"
#include "servers/charge_server/stores.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/write.hpp>

#include <exception>
#include <iostream>
#include <memory>
#include <utility>

/// \file
/// The coroutine style: `co_await handle(request, asio::use_awaitable)`. All coroutines of a connection are bound to
/// the type of its executor.

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using idempo::error_code;

template <class Executor>
constexpr auto with_error(error_code& error) {
    return asio::redirect_error(asio::use_awaitable_t<Executor>(), error);
}

/// The handler as it is, without a middleware around it.
template <class Executor>
class bare {
    using charges = basic_awaitable_charges<Executor>;

public:
    bare(charges handler, idempo::options const& options) : handler_(handler), options_(&options) {}

    asio::awaitable<http::message_generator, Executor> operator()(http_request request,
                                                                  asio::use_awaitable_t<Executor>) const {
        return answer(handler_, options_, std::move(request));
    }

private:
    static asio::awaitable<http::message_generator, Executor> answer(charges handler, idempo::options const* options,
                                                                     http_request request) {
        try {
            idempo::execution unkeyed;
            co_return http::message_generator(co_await handler(request, unkeyed));
        } catch (std::exception const&) {
            co_return answer_exception(*options, request.version(), request.keep_alive());
        }
    }

    charges handler_;
    idempo::options const* options_;
};

template <class Executor>
asio::awaitable<error_code, Executor> read(basic_connection<Executor>* connection, session_setup* setup) {
    error_code error;
    auto& parser = connection->begin_request();
    co_await idempo::async_read_request(connection->stream, connection->buffer, parser, setup->reading(),
                                        with_error<Executor>(error));
    connection->reading = false;
    co_return error;
}

/// Returns whether there may be a next request.
template <class Executor>
asio::awaitable<bool, Executor> send(basic_connection<Executor>* connection, session_setup* setup,
                                     http::message_generator handled) {
    error_code error;
    auto answer = setup->last_touch(std::move(handled));
    bool const keep_alive = answer.keep_alive();
    connection->stream.expires_after(limits::write_time);
    co_await beast::async_write(connection->stream, std::move(answer), with_error<Executor>(error));
    co_return keep_alive && !error;
}

template <class Executor>
asio::awaitable<void, Executor> refuse(basic_connection<Executor>* connection, error_code error) {
    auto answer = idempo::answer_read_error(error, connection->parser->get());
    if (!answer) co_return;
    co_await idempo::async_answer_and_close(connection->stream, std::move(*answer), limits::linger,
                                            with_error<Executor>(error));
}

template <class Handle, class Executor>
asio::awaitable<void, Executor> serve(std::shared_ptr<basic_connection<Executor>> connection, session_setup* setup,
                                      Handle handle) {
    bool goes_on = true;
    while (goes_on && !setup->registry.stopping()) {
        auto const error = co_await read(connection.get(), setup);
        if (error) {
            co_await refuse(connection.get(), error);
            co_return;
        }
        auto request = connection->parser.value().release();
        auto answer = co_await handle(std::move(request), asio::use_awaitable_t<Executor>());
        goes_on = co_await send(connection.get(), setup, std::move(answer));
    }
}

template <class Handle, class Executor>
class awaitable_sessions final : public sessions {
public:
    awaitable_sessions(session_setup& setup, Handle handle) : setup_(setup), handle_(std::move(handle)) {}

    void start(tcp::socket socket) override {
        auto const opened = open_connection<Executor>(setup_, std::move(socket));
        if (!opened) return;
        asio::co_spawn(opened->stream.get_executor(), serve(opened, &setup_, handle_), [](std::exception_ptr thrown) {
            if (thrown) std::cerr << "charge_server: a connection ended by an exception" << std::endl;
        });
    }

private:
    session_setup& setup_;
    Handle handle_;
};

template <class Executor, class Handle>
std::unique_ptr<sessions> make_with(session_setup& setup, Handle handle) {
    return std::make_unique<awaitable_sessions<Handle, Executor>>(setup, std::move(handle));
}

template <class Executor>
std::unique_ptr<sessions> make(session_setup& setup, asio::io_context& context) {
    auto const& options = setup.flags.options;
    basic_awaitable_charges<Executor> const charges(setup.service);
    if (!setup.flags.use_middleware) return make_with<Executor>(setup, bare<Executor>(charges, options));
    auto store = open_any_store(context.get_executor(), setup.flags.store_url, setup.flags.trace);
    return make_with<Executor>(setup, idempo::idempotency(std::move(store), options) | charges);
}

}  // namespace

std::unique_ptr<sessions> make_awaitable_sessions(session_setup& setup, asio::io_context& context) {
    if (setup.flags.threads > 1) return make<asio::any_io_executor>(setup, context);
    return make<event_loop>(setup, context);
}
