// SPDX-License-Identifier: MIT
#include "servers/charge_server/flags.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/server.hpp"

#include <boost/system/system_error.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>

/// \file
/// A payment server to try, test and measure the library from outside, by its command line.

namespace {

enum exit_code { success = 0, failure = 1, wrong_usage = 2 };

int report(std::exception const& error, exit_code code) {
    std::cerr << "charge_server: " << error.what() << std::endl;
    return code;
}

}  // namespace

int main(int argument_count, char** arguments) {
    try {
        auto const flags = parse_flags(argument_count, arguments);
        if (!flags) return success;
        if (flags->migrate) {
            migrate(*flags);
        } else {
            serve(*flags);
        }
        return success;
    } catch (std::invalid_argument const& error) {
        return report(error, wrong_usage);
    } catch (std::exception const& error) {
        return report(error, failure);
    }
}
