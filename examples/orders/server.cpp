// SPDX-License-Identifier: MIT
#include "orders/server.hpp"

#include "orders/database.hpp"
#include "orders/ledger_feed.hpp"
#include "orders/limits.hpp"
#include "orders/metrics.hpp"
#include "orders/orders_table.hpp"
#include "orders/routes.hpp"
#include "orders/service_log.hpp"
#include "orders/sessions.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/problem.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// At the start there is time: a PostgreSQL that has just started may need a while.
idempo::postgres_options database_of(orders_flags const& flags) {
    auto options = idempo::parse_postgres_url(flags.database);
    options.connect_timeout = std::chrono::seconds(10);
    return options;
}

/// \throws std::invalid_argument if a table is missing; std::runtime_error where the server cannot be asked
void check_tables(orders_flags const& flags, idempo::postgres_options const& options) {
    auto const found = idempo::check_postgres(options);
    for (auto const& warning : found.warnings()) service_log::write("postgres", {{"warning", warning}});
    bool const has_records = !flags.transactional || found.is_migrated();
    if (!has_records || !has_orders_table(options.connection)) {
        throw std::invalid_argument("the database is not prepared: start once with --migrate");
    }
}

tcp::acceptor listen(asio::io_context& context, tcp::endpoint const& endpoint) {
    try {
        return {context, endpoint};
    } catch (boost::system::system_error const& error) {
        std::ostringstream sentence;
        sentence << "cannot listen on " << endpoint << ": " << error.code().message();
        throw std::runtime_error(sentence.str());
    }
}

/// Waits until no connection is left, or for `limits::drain_time`.
asio::awaitable<void> drain(asio::io_context* context, sessions const* open) {
    auto const end = std::chrono::steady_clock::now() + limits::drain_time;
    asio::steady_timer pause(*context);
    while (open->open() > 0 && std::chrono::steady_clock::now() < end) {
        pause.expires_after(std::chrono::milliseconds(20));
        co_await pause.async_wait(asio::use_awaitable);
    }
    context->stop();
}

/// There is no more time for clients that do not read their responses.
[[noreturn]] void give_up(std::size_t left) {
    service_log::write("gave_up", {{"connections", left}});
    std::_Exit(EXIT_SUCCESS);
}

idempo::problem_table make_problems(unsigned mismatch_status) {
    idempo::problem_table problems;
    problems[idempo::refusal::key_reused].status = mismatch_status;
    return problems;
}

}  // namespace

void migrate(orders_flags const& flags) {
    auto const options = database_of(flags);
    idempo::migrate(options);
    create_orders_table(options.connection);
    std::cout << "migrated" << std::endl;
}

void serve(orders_flags const& flags, std::string secret, endpoint_maker const& make_endpoint) {
    std::signal(SIGPIPE, SIG_IGN);  // the reader of the log may go away
    auto const options = database_of(flags);
    check_tables(flags, options);

    asio::io_context context(1);
    auto const problems = make_problems(flags.mismatch_status);
    metrics measured;
    database orders(context.get_executor(), options.connection);
    ledger_feed feed(orders, measured);
    auto endpoint = make_endpoint({context.get_executor(), flags, std::move(secret), problems, orders, measured});
    routes const routes(std::move(endpoint), orders, measured);
    sessions sessions(routes, feed, measured);

    auto acceptor = listen(context, {flags.address, flags.port});
    asio::co_spawn(context, sessions.accept(&acceptor), asio::detached);
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) {
        acceptor.close();
        sessions.stop();
        asio::co_spawn(context, drain(&context, &sessions), asio::detached);
    });
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    context.run();
    if (sessions.open() > 0) give_up(sessions.open());
}
