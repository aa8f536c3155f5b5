// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "servers/transfer_server/failpoint.hpp"

#include <idempo/execution.hpp>

#include <pqxx/subtransaction>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct transfer_order {
    std::string from;
    std::string to;
    std::int64_t amount = 0;
};

/// `{"from":"a","to":"b","amount":5}`; empty where it is anything else.
[[nodiscard]] std::optional<transfer_order> parse_transfer(std::string_view body);

/// The routes, as a handler of the transactional mode:
///
///     POST /transfers   {"from":"a","to":"b","amount":5} moves money: 201, or 402 where there is not enough
///     GET /accounts     names and balances
///     GET /healthz
///
/// Any other request leaves its key free: a retry may go to the right address, and records of wrong ones would only
/// fill the table.
/// It works only through the given transaction, and never ends it.
class transfers {
public:
    explicit transfers(failpoint fails) : fails_(std::move(fails)) {}

    http_response operator()(http_request const& request, pqxx::subtransaction& rows,
                             idempo::execution& execution) const;

private:
    [[nodiscard]] http_response route(http_request const& request, pqxx::subtransaction& rows) const;
    [[nodiscard]] http_response transfer(http_request const& request, pqxx::subtransaction& rows) const;

    failpoint fails_;
};

/// Makes the tables with some accounts, where they are missing. \throws std::runtime_error if it cannot
void create_accounts(std::string const& connection);
