// SPDX-License-Identifier: MIT
#include "payments/payments.hpp"
#include "payments/provider_client.hpp"

#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/postgres/scheme.hpp>
#include <idempo/redis/scheme.hpp>
#include <idempo/stores/open_store.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/write.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

/// \file
/// The payments of README.md over HTTP: `POST /payments`, with a key, and the order as its body.

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

struct settings {
    std::uint16_t port = 8080;
    std::uint16_t provider = 8090;
    bool provider_is_keyless = false;
    bool provider_tells_nothing = false;
    std::string store = "memory:";
    std::chrono::milliseconds::rep lease = 30'000;
};

idempo::options options_of(settings const& chosen) {
    idempo::options options;
    options.require_key = true;
    options.lease = std::chrono::milliseconds(chosen.lease);
    if (chosen.provider_tells_nothing) {
        // Nobody can be asked: what an attempt has left open stays parked, and a person settles it.
        options.on_takeover = idempo::on_takeover::hold;
    } else if (chosen.provider_is_keyless) {
        // The handler looks up what an earlier attempt has done before it does it again. So it may run as soon as
        // somebody asks; where the provider still does not answer, the record is parked once more.
        options.reconcile = [](idempo::execution const&) -> idempo::reconciliation { return idempo::run_again{}; };
    }
    return options;
}

template <class Handle>
asio::awaitable<void> session(tcp::socket socket, Handle handle) {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(65536);
    idempo::read_options const reading{.answer_expect = true};
    for (bool keep_alive = true; keep_alive;) {
        http_request request;
        beast::error_code error;
        stream.expires_after(std::chrono::seconds(75));
        co_await idempo::async_read_request(stream, buffer, request, reading,
                                            asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            auto answer = idempo::answer_read_error(error, request);
            if (answer) co_await idempo::async_answer_and_close(stream, std::move(*answer), asio::use_awaitable);
            co_return;
        }
        http::message_generator message = co_await handle(std::move(request), asio::use_awaitable);
        keep_alive = message.keep_alive();
        co_await beast::async_write(stream, std::move(message), asio::use_awaitable);
    }
}

template <class Handle>
asio::awaitable<void> accept(tcp::acceptor* acceptor, Handle handle) {
    asio::steady_timer pause(acceptor->get_executor());
    while (true) {
        beast::error_code error;
        tcp::socket socket(acceptor->get_executor());
        co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
        if (error) {
            // Without file descriptors there is no use in trying again at once, and no reason to end.
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        asio::co_spawn(acceptor->get_executor(), session(std::move(socket), handle), asio::detached);
    }
}

void run(settings const& chosen) {
    asio::io_context context(1);
    auto const store =
        idempo::open_store(context.get_executor(), chosen.store, idempo::redis_scheme(), idempo::postgres_scheme());
    payments const pay(provider_client(chosen.provider), !chosen.provider_is_keyless);
    auto const handle = idempo::idempotency(store, options_of(chosen)) | pay;

    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), chosen.port});
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    asio::co_spawn(context, accept(&acceptor, handle), asio::detached);
    context.run();
}

}  // namespace

int main(int argument_count, char** arguments) {
    settings chosen;
    CLI::App flags("Payments in three steps");
    flags.add_option("--port", chosen.port, "0: any free one");
    flags.add_option("--provider", chosen.provider, "Its port");
    flags.add_flag("--keyless", chosen.provider_is_keyless, "The provider knows no keys");
    flags.add_flag("--no-look-up", chosen.provider_tells_nothing, "Nor does it tell what it has done")
        ->needs("--keyless");
    flags.add_option("--store", chosen.store, "memory:, redis://… or postgresql://…");
    flags.add_option("--lease", chosen.lease, "Of a claim, in milliseconds");
    CLI11_PARSE(flags, argument_count, arguments);
    try {
        run(chosen);
        return 0;
    } catch (std::exception const& error) {
        std::cerr << "payments_server: " << error.what() << '\n';
        return 1;
    }
}
