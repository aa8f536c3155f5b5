// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/postgres/link.hpp"
#include "simulation/postgres/session.hpp"
#include "simulation/postgres/statement.hpp"
#include "simulation/postgres/tables.hpp"
#include "simulation/postgres/witness.hpp"
#include "simulation/store_machine.hpp"
#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace idempo::simulation {

/// What becomes of an attempt to connect.
struct postgres_welcome {
    /// Null where it is refused, for this reason.
    std::shared_ptr<postgres_link> link{};
    int server_process = 0;
    std::string refusal{};
    /// It is not answered.
    bool is_silent = false;
};

/// The machine on which the simulated PostgreSQL runs: its sessions, each a server process that carries out statements,
/// the locks of their rows, their commits, and what may go wrong. What is done there is told to the ground truth when
/// it is done: what a statement has read when it looks, and what it has written at its commit.
class postgres_machine final : public store_machine {
public:
    explicit postgres_machine(surroundings& world);

    [[nodiscard]] postgres_welcome accept(std::size_t process);

    /// Of calls whose caller waits for the answer: a record that is met answers all of its process.
    /// @{
    void is_called(std::size_t process, store_call const& call);
    void is_answered(std::size_t process, store_call const& call);
    /// @}
    /// The process has ended.
    void is_dead(std::size_t process);

    [[nodiscard]] std::optional<store_answer> ask(store_call const& call) override;
    /// It stops, dies, shuts down, becomes a standby, is full, lacks its standby, or has no slot left.
    void go_down() override;
    void come_back() override;
    /// A standby takes its place.
    void lose(std::size_t operations) override;
    void jump(duration by) override { clock_.jump(world_now, by); }
    /// In whole microseconds, as PostgreSQL has it.
    [[nodiscard]] time_point now() const override;

private:
    struct entry {
        witnessed_calls seen;
        postgres_tables data;
    };
    struct condition {
        bool is_read_only = false;
        bool is_full = false;
        bool lacks_standby = false;
        bool has_no_slots = false;
        bool is_starting_up = false;
    };
    using session_ptr = std::shared_ptr<postgres_session>;

    [[nodiscard]] postgres_time clock() const;
    void serve(session_ptr const& of);
    void end_if_idle(session_ptr const& of);
    void run_script(session_ptr const& of, std::string const& text);
    void begin_statement(session_ptr const& of, postgres_message const& message);
    [[nodiscard]] std::string refusal_of(postgres_session const& of, statement_run const& run);
    void go_on(session_ptr const& of);
    [[nodiscard]] bool stops(session_ptr const& of);
    [[nodiscard]] bool take_lock(postgres_session& of, std::string const& key);
    void wait_for_lock(session_ptr const& of, std::string const& key);
    void release_locks(postgres_session& of);
    [[nodiscard]] bool is_serialized(postgres_session const& of, statement_run::row_run const& row) const;
    void begin_commit(session_ptr const& of, postgres_answer reply);
    void try_to_commit(session_ptr const& of);
    void commit(postgres_session& of);
    void reply(session_ptr const& of, postgres_answer answer);
    void fail(session_ptr const& of, std::string const& sqlstate);
    void roll_back(postgres_session& of);
    [[nodiscard]] postgres_answer answer_of(statement_run const& run);
    [[nodiscard]] postgres_answer busy_among(std::string const& text) const;
    void look_at_late_processes(postgres_session const& of);
    void end(session_ptr const& of);
    void remember(witnessed_calls seen);
    void end_sessions(std::string const& sqlstate);
    void stop_listening(std::string const& sqlstate);
    void restore(std::size_t kept);
    [[nodiscard]] std::optional<store_answer> settle(settle_request const& call);

    surroundings& world_;
    local_clock clock_;
    statement_book book_;
    postgres_tables tables_;
    std::vector<session_ptr> sessions_;
    /// Which session holds a row's lock.
    std::map<std::string, postgres_session*> locks_;
    pending_calls pending_;
    std::vector<entry> journal_;
    std::vector<unsigned> process_lives_;
    condition is_;
    std::optional<postgres_answer> last_answer_;
    int next_process_ = 100;
    bool keeps_journal_;
    bool is_running_ = true;
    bool listens_ = true;
    bool was_restarted_ = false;
};

}  // namespace idempo::simulation
