// SPDX-License-Identifier: MIT
#include "orders/flags.hpp"
#include "orders/server.hpp"
#include "orders/stack.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>

/// \file
/// A service that takes orders, with all the usual layers.

namespace {

enum exit_code { success = 0, failure = 1, wrong_usage = 2 };

int report(std::exception const& error, exit_code code) {
    std::cerr << "orders_server: " << error.what() << std::endl;
    return code;
}

/// Not a flag, since everybody who can list processes can read the command line.
std::string secret_from_environment() {
    auto const* const secret = std::getenv("ORDERS_HMAC_SECRET");
    if (secret == nullptr || *secret == '\0') {
        throw std::invalid_argument("ORDERS_HMAC_SECRET is not set: it is the secret that signs requests");
    }
    return secret;
}

}  // namespace

int main(int argument_count, char** arguments) {
    // libpq has no limit by default. A limit that the user has set stays.
    ::setenv("PGCONNECT_TIMEOUT", "2", 0);
    try {
        auto const flags = parse_flags(argument_count, arguments);
        if (!flags) return success;
        if (flags->migrate) {
            migrate(*flags);
        } else {
            serve(*flags, secret_from_environment(), make_order_endpoint);
        }
        return success;
    } catch (std::invalid_argument const& error) {
        return report(error, wrong_usage);
    } catch (std::exception const& error) {
        return report(error, failure);
    }
}
