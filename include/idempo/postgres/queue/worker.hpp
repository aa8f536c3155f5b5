// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/dispatcher.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <idempo/postgres/options.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace idempo::postgres {

/// What all workers of a store share, and never change.
struct worker_setup {
    explicit worker_setup(postgres_options given);

    postgres_options options;
    statements sql;
    mutable connector to;
};

/// A thread's work: it keeps a connection, takes batches, and carries them out. A batch that fails is carried out once
/// more, row by row, so that one row cannot fail its neighbours.
class worker {
public:
    worker(std::shared_ptr<dispatcher> from, std::size_t number, std::shared_ptr<worker_setup const> setup);

    /// Returns when the dispatcher has ended.
    void run();

private:
    [[nodiscard]] bool stay_connected();
    [[nodiscard]] bool connect_once();
    [[nodiscard]] bool may_use_connection();
    void carry_out_all(batch const& taken);
    void carry_out_one_by_one(batch const& rest);
    void fail(batch const& rest, error_code with);
    /// Returns what has not been told when a statement failed, and why.
    [[nodiscard]] std::optional<statement_failure> try_to_carry_out(batch const& taken, batch& rest);
    void after(statement_failure const& failed);
    void report(postgres_problem problem, std::string sqlstate = {}, std::string detail = {}) const;

    std::shared_ptr<dispatcher> dispatcher_;
    std::size_t number_;
    std::shared_ptr<worker_setup const> setup_;
    detail::backoff backoff_;
    bool must_pause_ = false;
    std::optional<connection> connection_;
    /// Of connections that were given up since the server did not answer in time. No statement is sent before they have
    /// ended, so that there are never more than two processes for a worker.
    std::vector<server_process> late_;
};

}  // namespace idempo::postgres
