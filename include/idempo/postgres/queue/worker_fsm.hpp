// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/statement_io.hpp>

#include <idempo/error.hpp>
#include <idempo/postgres/options.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::postgres {

/// What a worker does next: it keeps a connection, takes batches, and has them carried out. A batch that fails is
/// carried out once more, row by row, so that one row cannot fail its neighbours. The machine does no I/O and blocks
/// nobody: each event leads to actions, the last of which leads to the next event. Not thread-safe.
///
/// Rows are known by their places in the batch that was taken.
class worker_fsm {
public:
    using rows = std::vector<std::size_t>;

    /// \name Actions that lead to an event
    /// @{
    /// Wait before the next attempt, then `on_paused`.
    struct pause {};
    /// `on_connected` or `on_unreachable`.
    struct connect {};
    /// Ask the server which of the processes that did not answer in time are still at work: `on_asked`.
    struct ask_for_ended {};
    /// `on_taken`.
    struct take {};
    /// `on_carried_out`.
    struct carry_out {
        rows which;
    };
    /// The same, unless its caller has given up: then `on_unwanted`.
    struct carry_out_one {
        std::size_t row = 0;
    };
    /// @}

    /// \name Actions that lead to none
    /// @{
    /// The connection is closed. Where its server process did not answer in time, it is asked for from now on.
    struct drop_connection {
        bool is_late = false;
    };
    enum class availability { connected, disconnected, unreachable };
    struct tell {
        availability is;
    };
    struct report {
        postgres_problem problem;
        std::string sqlstate;
        std::string detail;
    };
    struct fail {
        rows which;
        error_code with;
    };
    /// Each row of the batch was told its outcome, or failed.
    struct drop_batch {};
    /// The next pause is a short one.
    struct reset_backoff {};
    /// @}

    using action = std::variant<pause, connect, ask_for_ended, take, carry_out, carry_out_one, drop_connection, tell,
                                report, fail, drop_batch, reset_backoff>;

    /// \name Events
    /// @{
    void start();
    /// \param goes_on false at the end
    void on_paused(bool goes_on);
    void on_connected();
    /// \param why in libpq's words
    void on_unreachable(std::string why);
    /// The connection was made and was lost before its first use.
    void on_setup_failed(statement_failure const& failed);
    /// \param failed where nobody could tell
    /// \param still_at_work of the processes that did not answer in time
    void on_asked(std::optional<statement_failure> const& failed, std::size_t still_at_work);
    /// \param size of the batch; 0 at the end
    /// \param is_alive whether the connection still is, as far as one can know
    void on_taken(std::size_t size, bool is_alive);
    /// \param failed where a statement has
    /// \param untold the rows whose outcome nobody knows
    void on_carried_out(std::optional<statement_failure> const& failed, rows untold);
    void on_unwanted();
    /// @}

    [[nodiscard]] bool is_over() const noexcept { return state_ == state::over; }

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

private:
    enum class state {
        idle,         ///< a connection is wanted before a batch is taken
        batch_taken,  ///< all its rows are carried out together
        row_by_row,   ///< what is left of it
        over,
    };

    void be_ready();
    void pause_or_go_on();
    void go_on_with_rows();
    void next_row();
    void may_use_connection();
    void after(statement_failure const& failed);
    void act(action wanted) { actions_.push_back(std::move(wanted)); }

    state state_ = state::idle;
    bool is_connected_ = false;
    bool must_pause_ = false;
    std::size_t late_ = 0;
    rows left_;
    std::vector<action> actions_;
};

}  // namespace idempo::postgres
