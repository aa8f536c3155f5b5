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

/// This machine, and the port that is the only argument of the small examples: 8080 where there is none, 0 for any.
inline boost::asio::ip::tcp::endpoint local_endpoint(int argument_count, char const* const* arguments) {
    int port = 8080;
    try {
        if (argument_count > 1) port = std::stoi(arguments[1]);
        if (argument_count > 2 || port < 0 || port > std::numeric_limits<std::uint16_t>::max()) {
            throw std::out_of_range("port");
        }
    } catch (std::exception const&) {
        std::cerr << "usage: " << arguments[0] << " [port]" << std::endl;
        std::exit(2);
    }
    return {boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)};
}
