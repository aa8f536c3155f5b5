// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/options.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

enum class session_style { sync, callback, awaitable };

/// The parsed command line.
struct server_flags {
    boost::asio::ip::address address;
    std::uint16_t port = 0;
    unsigned threads = 1;
    std::size_t max_connections = 0;
    std::string store_url;
    bool migrate = false;
    session_style style = session_style::awaitable;
    bool use_middleware = true;
    idempo::options options;
    /// With `--trace`.
    std::optional<idempo::tracer> trace;
    /// The text at `/metrics`; empty without `--metrics`.
    std::function<std::string()> metrics;
    /// Fields of this server's own that a trailer must not bring: the key's, and that of the scope.
    std::vector<std::string> protected_fields;
};

/// Nullopt if the help was requested and printed.
/// \throws std::invalid_argument with a sentence where the command line makes no sense.
[[nodiscard]] std::optional<server_flags> parse_flags(int argument_count, char const* const* arguments);
