// SPDX-License-Identifier: MIT
#include "orders/flags.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <stdexcept>

std::optional<orders_flags> parse_flags(int argument_count, char const* const* arguments) {
    orders_flags flags;
    std::string address = "127.0.0.1";
    CLI::App app("Orders that are placed once, however often they are sent. The secret that signs requests comes from "
                 "ORDERS_HMAC_SECRET.",
                 "orders_server");
    app.add_option("--address", address, "Where to listen")->capture_default_str();
    app.add_option("--port", flags.port, "0: any free one, which is printed")->capture_default_str();
    app.add_option("--database", flags.database, "postgresql://…: the orders")->capture_default_str();
    app.add_option("--redis", flags.redis, "redis://…: the records of requests, without --transactional")
        ->capture_default_str();
    app.add_option("--rate-limit", flags.rate_limit, "Orders that one client may send in a minute")
        ->check(CLI::Range(1U, 1'000'000'000U))
        ->capture_default_str();
    app.add_flag("--transactional", flags.transactional,
                 "Keep the records in the database, too, and commit them with the orders");
    app.add_option("--mismatch-status", flags.mismatch_status, "For a key that was used with another request")
        ->check(CLI::IsMember({400, 409, 422}))
        ->capture_default_str();
    app.add_flag("--migrate", flags.migrate, "Make the tables, and exit");
    try {
        app.parse(argument_count, arguments);
    } catch (CLI::CallForHelp const&) {
        std::cout << app.help();
        return std::nullopt;
    } catch (CLI::ParseError const& error) {
        throw std::invalid_argument(error.what());
    }
    boost::system::error_code error;
    flags.address = boost::asio::ip::make_address(address, error);
    if (error) throw std::invalid_argument("--address: '" + address + "' is not an IP address");
    return flags;
}
