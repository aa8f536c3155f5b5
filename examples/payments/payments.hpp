// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "payments/provider_client.hpp"

#include <idempo/execution.hpp>

#include <boost/asio/awaitable.hpp>

#include <string>

/// The handler of the example: a payment in three steps, each of them a call of the provider. The body of a request is
/// the order.
class payments {
public:
    /// \param provider_knows_keys otherwise the provider repeats what it is asked for twice, and must be asked first
    payments(provider_client provider, bool provider_knows_keys)
        : provider_(provider),
          provider_knows_keys_(provider_knows_keys) {}

    [[nodiscard]] boost::asio::awaitable<http_response> operator()(http_request request,
                                                                   idempo::execution& execution) const;

private:
    [[nodiscard]] boost::asio::awaitable<std::string> once(std::string operation, std::string order, std::string key,
                                                           bool may_have_happened) const;
    [[nodiscard]] boost::asio::awaitable<std::string> pay(std::string order, idempo::execution& execution) const;

    provider_client provider_;
    bool provider_knows_keys_;
};
