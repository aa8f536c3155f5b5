// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/dispatcher.hpp>
#include <idempo/postgres/queue/worker_fsm.hpp>
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
    mutable connector to;
};

/// A thread's work: it carries out what a `worker_fsm` decides.
class worker {
public:
    worker(std::shared_ptr<dispatcher> from, std::size_t number, std::shared_ptr<worker_setup const> setup);

    /// Returns when the dispatcher has ended.
    void run();

private:
    void perform(worker_fsm::pause const&);
    void perform(worker_fsm::connect const&);
    void perform(worker_fsm::ask_for_ended const&);
    void perform(worker_fsm::take const&);
    void perform(worker_fsm::carry_out const& wanted);
    void perform(worker_fsm::carry_out_one const& wanted);
    void perform(worker_fsm::drop_connection const& wanted);
    void perform(worker_fsm::tell const& wanted);
    void perform(worker_fsm::report& wanted);
    void perform(worker_fsm::fail const& wanted);
    void perform(worker_fsm::drop_batch const&);
    void perform(worker_fsm::reset_backoff const&);

    [[nodiscard]] batch at(worker_fsm::rows const& places) const;
    void carry_out_rows(worker_fsm::rows const& which);

    std::shared_ptr<dispatcher> dispatcher_;
    std::size_t number_;
    std::shared_ptr<worker_setup const> setup_;
    detail::backoff backoff_;
    worker_fsm machine_;
    std::optional<connection> connection_;
    /// Of connections that were given up since the server did not answer in time. No statement is sent before they have
    /// ended, so that there are never more than two processes for a worker.
    std::vector<server_process> late_;
    batch taken_;
};

}  // namespace idempo::postgres
