// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace idempo {

/// PostgreSQL does not commit what a handler of the transactional mode did: a deferred constraint is violated, or a
/// statement failed and the handler went on without a subtransaction; or the handler has ended its transaction itself.
struct transaction_refused : std::runtime_error {
    transaction_refused(std::string code, bool handler_ended_it)
        : std::runtime_error(handler_ended_it
                                 ? "idempo: the handler has ended its transaction, and what it did cannot be undone"
                                 : "idempo: PostgreSQL does not commit what the handler did: " + code),
          sqlstate(std::move(code)) {}

    /// As PostgreSQL names the error.
    std::string sqlstate;
};

}  // namespace idempo
