#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/dispatcher.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <idempo/postgres/options.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace idempo::postgres {

/// What all workers of a store share, and never change.
struct worker_setup {
    explicit worker_setup(postgres_options given);

    postgres_options options;
    statements sql;
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
    [[nodiscard]] std::vector<outcome> carry_out_all(batch const& taken);
    [[nodiscard]] std::vector<outcome> carry_out_one_by_one(batch const& taken);
    [[nodiscard]] std::vector<outcome> try_to_carry_out(std::vector<request const*> const& requests);
    void after(statement_failure const& failed);
    void report(postgres_problem problem, std::string sqlstate = {}) const;

    std::shared_ptr<dispatcher> dispatcher_;
    std::size_t number_;
    std::shared_ptr<worker_setup const> setup_;
    detail::backoff backoff_;
    bool must_pause_ = false;
    std::optional<connection> connection_;
};

}  // namespace idempo::postgres
