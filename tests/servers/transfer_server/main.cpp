// SPDX-License-Identifier: MIT
#include "servers/transfer_server/failpoint.hpp"
#include "servers/transfer_server/sessions.hpp"
#include "servers/transfer_server/transfers.hpp"

#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/transaction/transactional.hpp>

#include <CLI/CLI.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>

/// \file
/// A bank in transactional mode: a transfer happens once however often it is sent, and whenever this process is killed.

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

struct flags {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string store = "postgresql:";
    std::size_t connections = 8;
    bool migrate = false;
    bool log = false;
    std::string failpoint;
};

flags parse_flags(CLI::App& app, int argument_count, char** arguments) {
    flags written;
    app.add_option("--address", written.address, "Where to listen")->capture_default_str();
    app.add_option("--port", written.port, "0: any free one, which is printed")->capture_default_str();
    app.add_option("--store", written.store, "postgresql://…: where records and accounts are")->capture_default_str();
    app.add_option("--connections", written.connections, "Transactions at once")->capture_default_str();
    app.add_flag("--migrate", written.migrate, "Make the tables, and exit");
    app.add_flag("--log", written.log, "What becomes of each keyed request, on standard error");
    app.add_option("--failpoint", written.failpoint,
                   "NAME or NAME:N: kill this process there, the first or the N-th time; after_lock, in_handler, "
                   "before_insert, before_commit or after_commit");
    app.parse(argument_count, arguments);
    return written;
}

/// \throws std::invalid_argument if there is no table to work with
void check(idempo::postgres_options const& database) {
    auto const found = idempo::check_postgres(database);
    for (auto const& warning : found.warnings()) std::cerr << "transfer_server: " << warning << std::endl;
    if (!found.is_migrated()) {
        throw std::invalid_argument("the database is not prepared: start once with --migrate");
    }
}

idempo::observer both(idempo::observer one, idempo::observer other) {
    return [one = std::move(one), other = std::move(other)](idempo::event const& event) {
        one(event);
        other(event);
    };
}

/// Until SIGTERM or SIGINT; then it waits for the answers that are under way. A second signal ends the process at once.
void serve(asio::io_context& context, tcp::acceptor& acceptor, sessions& sessions) {
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) { context.stop(); });
    asio::co_spawn(context, sessions.accept(&acceptor), asio::detached);
    context.run();

    signals.clear();
    acceptor.close();
    sessions.stop();
    context.restart();
    context.run_for(std::chrono::seconds(10));
    if (sessions.count() > 0) {
        std::cerr << "transfer_server: gave up on " << sessions.count() << " connections" << std::endl;
    }
}

void run(flags const& written) {
    failpoint const fails = written.failpoint.empty() ? failpoint() : failpoint(written.failpoint);
    idempo::transactional_options transactions;
    transactions.database = idempo::parse_postgres_url(written.store);
    transactions.connections = written.connections;
    if (written.migrate) {
        idempo::migrate(transactions.database);
        create_accounts(transactions.database.connection);
        std::cout << "migrated" << std::endl;
        return;
    }
    check(transactions.database);

    idempo::options options;
    options.require_key = true;
    options.observer = fails.observer();
    if (written.log) options.observer = both(options.observer, idempo::log_to(std::cerr));

    asio::io_context context(1);
    auto const handle = idempo::transactional(context.get_executor(), transactions, options) | transfers(fails);
    sessions sessions(handle);
    tcp::acceptor acceptor(context, {asio::ip::make_address(written.address), written.port});
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    serve(context, acceptor, sessions);
}

int report(std::string const& sentence, int code) {
    std::cerr << "transfer_server: " << sentence << std::endl;
    return code;
}

}  // namespace

int main(int argument_count, char** arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app("A bank to try the transactional mode of idempo by.", "transfer_server");
    try {
        run(parse_flags(app, argument_count, arguments));
        return 0;
    } catch (CLI::ParseError const& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (std::invalid_argument const& error) {
        return report(error.what(), 2);
    } catch (std::exception const& error) {
        return report(error.what(), 1);
    }
}
