// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

/// Loopback, and the port: the only argument of the small examples, alone or after `--port`. The default is 8080; 0
/// means any free port.
inline boost::asio::ip::tcp::endpoint local_endpoint(int argument_count, char const* const* arguments) {
    int port = 8080;
    try {
        bool const is_named = argument_count > 1 && std::string_view(arguments[1]) == "--port";
        int const words = is_named ? 3 : 2;
        if (argument_count > 1) port = std::stoi(argument_count == words ? arguments[words - 1] : "");
        if (port < 0 || port > std::numeric_limits<std::uint16_t>::max()) {
            throw std::out_of_range("port");
        }
    } catch (std::exception const&) {
        std::cerr << "usage: " << arguments[0] << " [[--port] port]" << std::endl;
        std::exit(2);
    }
    return {boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)};
}
