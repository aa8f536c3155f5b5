// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

/// The provider did not say whether it has done what it was asked for.
class provider_unsure : public std::runtime_error {
public:
    explicit provider_unsure(std::string const& why) : std::runtime_error(why) {}
};

/// The provider says that it has done nothing.
class provider_refused : public std::runtime_error {
public:
    explicit provider_refused(std::string const& why) : std::runtime_error(why) {}
};

/// Calls of the payment provider, each over a connection of its own and with a deadline.
class provider_client {
public:
    explicit provider_client(std::uint16_t port) : port_(port) {}

    /// Has the effect once for each key, if the provider knows keys. Returns its receipt.
    /// \throws provider_unsure, provider_refused
    [[nodiscard]] boost::asio::awaitable<std::string> call(std::string operation, std::string order,
                                                           std::string key) const;

    /// The receipt of what the provider has done already. \throws provider_unsure
    [[nodiscard]] boost::asio::awaitable<std::optional<std::string>> find(std::string operation,
                                                                          std::string order) const;

private:
    [[nodiscard]] boost::asio::awaitable<http_response> exchange(http_request request) const;

    std::uint16_t port_;
};
