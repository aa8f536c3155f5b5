// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstdint>
#include <optional>
#include <string>

/// The command line.
struct orders_flags {
    boost::asio::ip::address address;
    std::uint16_t port = 8080;
    std::string database = "postgresql:";
    std::string redis = "redis://127.0.0.1:6379";
    /// Limit of orders of one client in a minute.
    unsigned rate_limit = 10;
    bool transactional = false;
    unsigned mismatch_status = 422;
    bool migrate = false;
};

/// Nullopt if the command line has been answered, as with `--help`.
/// \throws std::invalid_argument with one line that says what is wrong.
[[nodiscard]] std::optional<orders_flags> parse_flags(int argument_count, char const* const* arguments);
