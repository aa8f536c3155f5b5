// SPDX-License-Identifier: MIT
#include "orders/flags.hpp"
#include "orders/place_order.hpp"
#include "orders/server.hpp"
#include "orders/stack.hpp"

#include <idempo/execution.hpp>
#include <idempo/identifiers.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

/// \file
/// orders_server without its layers: no signature, no limit, no claim and no record, but the same handler and table.

namespace {

namespace asio = boost::asio;

asio::awaitable<http::message_generator> place(place_order_handler handler, http_request request) {
    idempo::store_key const nobody;
    idempo::fingerprint const unknown;
    std::string key(request["Idempotency-Key"]);
    idempo::execution execution(std::move(key), nobody, unknown);
    http_response answer = co_await handler(request, execution);
    co_return http::message_generator(std::move(answer));
}

order_endpoint make_bare_endpoint(stack_parts const& parts) {
    place_order_handler const handler(parts.orders, parts.problems);
    return [handler](http_request request, asio::ip::address const&) { return place(handler, std::move(request)); };
}

}  // namespace

int main(int argument_count, char** arguments) {
    try {
        auto const flags = parse_flags(argument_count, arguments);
        if (!flags) return EXIT_SUCCESS;
        if (flags->migrate) {
            migrate(*flags);
        } else {
            serve(*flags, "none", make_bare_endpoint);
        }
        return EXIT_SUCCESS;
    } catch (std::exception const& error) {
        std::cerr << "orders_bare: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
