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
/// The coroutine style: `co_await handle(request, asio::use_awaitable)`.

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using idempo::error_code;

/// The handler as it is, without a middleware around it.
class bare {
public:
    bare(awaitable_charges charges, idempo::options const& options) : charges_(charges), options_(&options) {}

    asio::awaitable<http::message_generator> operator()(http_request request, asio::use_awaitable_t<>) const {
        return answer(charges_, options_, std::move(request));
    }

private:
    static asio::awaitable<http::message_generator> answer(awaitable_charges charges, idempo::options const* options,
                                                           http_request request) {
        try {
            idempo::execution unkeyed;
            co_return http::message_generator(co_await charges(request, unkeyed));
        } catch (std::exception const&) {
            co_return answer_exception(*options, request.version(), request.keep_alive());
        }
    }

    awaitable_charges charges_;
    idempo::options const* options_;
};

asio::awaitable<error_code> read(any_connection* connection, session_setup* setup) {
    error_code error;
    auto& parser = connection->begin_request();
    co_await idempo::async_read_request(connection->stream, connection->buffer, parser, setup->reading(),
                                        asio::redirect_error(asio::use_awaitable, error));
    connection->reading = false;
    co_return error;
}

/// Returns whether there may be a next request.
asio::awaitable<bool> send(any_connection* connection, session_setup* setup, http::message_generator handled) {
    error_code error;
    auto answer = setup->last_touch(std::move(handled));
    bool const keep_alive = answer.keep_alive();
    connection->stream.expires_after(limits::write_time);
    co_await beast::async_write(connection->stream, std::move(answer),
                                asio::redirect_error(asio::use_awaitable, error));
    co_return keep_alive && !error;
}

asio::awaitable<void> refuse(any_connection* connection, error_code error) {
    auto answer = idempo::answer_read_error(error, connection->parser->get());
    if (!answer) co_return;
    co_await idempo::async_answer_and_close(connection->stream, std::move(*answer), limits::linger,
                                            asio::redirect_error(asio::use_awaitable, error));
}

template <class Handle>
asio::awaitable<void> serve(std::shared_ptr<any_connection> connection, session_setup* setup, Handle handle) {
    bool goes_on = true;
    while (goes_on && !setup->registry.stopping()) {
        auto const error = co_await read(connection.get(), setup);
        if (error) {
            co_await refuse(connection.get(), error);
            co_return;
        }
        auto request = connection->parser.value().release();
        auto answer = co_await handle(std::move(request), asio::use_awaitable);
        goes_on = co_await send(connection.get(), setup, std::move(answer));
    }
}

template <class Handle>
class awaitable_sessions final : public sessions {
public:
    awaitable_sessions(session_setup& setup, Handle handle) : setup_(setup), handle_(std::move(handle)) {}

    void start(tcp::socket socket) override {
        auto const opened = open_connection(setup_, std::move(socket));
        if (!opened) return;
        asio::co_spawn(opened->stream.get_executor(), serve(opened, &setup_, handle_), [](std::exception_ptr thrown) {
            if (thrown) std::cerr << "charge_server: a connection ended by an exception" << std::endl;
        });
    }

private:
    session_setup& setup_;
    Handle handle_;
};

template <class Handle>
std::unique_ptr<sessions> make(session_setup& setup, Handle handle) {
    return std::make_unique<awaitable_sessions<Handle>>(setup, std::move(handle));
}

}  // namespace

std::unique_ptr<sessions> make_awaitable_sessions(session_setup& setup, asio::io_context& context) {
    auto const& options = setup.flags.options;
    awaitable_charges const charges(setup.service);
    if (!setup.flags.use_middleware) return make(setup, bare(charges, options));
    auto store = open_any_store(context.get_executor(), setup.flags.store_url, setup.flags.trace);
    return make(setup, idempo::idempotency(std::move(store), options) | charges);
}
