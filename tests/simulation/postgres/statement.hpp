// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/mutant.hpp"
#include "simulation/postgres/tables.hpp"
#include "simulation/postgres/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace idempo::simulation {

/// The library's statements, as the server tells them apart: by their texts.
enum class statement_kind {
    claim,
    claim_remembering,
    claim_without_takeover,
    claim_without_takeover_remembering,
    claim_parked,
    claim_parked_remembering,
    complete_many,
    complete_one,
    renew,
    save_step,
    park,
    settle,
    free,
    abandon,
    read,
    fetch,
    peek,
    forget,
    sweep_records,
    sweep_marks,
    lock_walk,
};
using statement_book = std::map<std::string, statement_kind, std::less<>>;

[[nodiscard]] constexpr bool is_claim(statement_kind kind) { return kind <= statement_kind::claim_parked_remembering; }
[[nodiscard]] constexpr bool is_complete(statement_kind kind) {
    return kind == statement_kind::complete_many || kind == statement_kind::complete_one;
}

/// What a statement asks for one row.
struct asked_row {
    std::string key{};
    std::string token{};
    std::string fingerprint{};
    std::int64_t lease = 0;
    /// Of a claim its lease and retention together; else the retention.
    std::int64_t life = 0;
    std::int64_t remember = 0;
    /// The response, step or reason.
    std::string bytes{};
    /// The offset of a step, or the attempt that is settled.
    std::int64_t number = 0;
};

/// A statement on its way: it looks at what has been committed, then writes to its rows, one after the other, each when
/// it has the row's lock. What it has written is for the committer.
class statement_run {
public:
    /// One row, with what it has met.
    struct row_run {
        asked_row asked{};
        /// An unexpired record at the look.
        std::optional<postgres_row> found{};
        postgres_time looked_at = 0;
        bool is_met = false;
        bool has_mark = false;
        /// Whether its lock is needed.
        bool is_wanted = false;
        /// From when its spans count.
        postgres_time source = 0;
        postgres_time written_at = 0;
        /// What it was, and what it is now; nothing where the statement leaves it as it is.
        std::optional<postgres_row> before{};
        std::optional<postgres_row> written{};
    };

    statement_run(statement_kind kind, std::vector<std::string> const& parameters, mutant bug);

    [[nodiscard]] statement_kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::vector<row_run> const& rows() const noexcept { return rows_; }
    /// Whether it only reads.
    [[nodiscard]] bool is_read() const noexcept;

    /// \param is_locked of a key, for who skips locked rows
    void look(postgres_tables const& committed, postgres_time now,
              std::function<bool(std::string const&)> const& is_locked);
    /// The row's turn has come; it may have to wait for its lock.
    void begin_row(std::size_t row, postgres_time now) { rows_[row].source = now; }
    void write_row(std::size_t row, postgres_tables const& committed, postgres_time now);

    /// The rows that it has locked when it looked.
    [[nodiscard]] std::vector<std::string> const& locked() const noexcept { return deleted_; }

    /// Another session walks through the table.
    void refuse_walk() noexcept { may_walk_ = false; }

    /// To be done at the commit.
    void apply_to(postgres_tables& tables) const;
    [[nodiscard]] std::vector<postgres_fields> answer(postgres_tables const& committed) const;

private:
    void look_at(row_run& row, postgres_tables const& committed, postgres_time now);
    void look_for_claim(row_run& row, postgres_tables const& committed, postgres_time now) const;
    [[nodiscard]] bool may_claim(row_run const& row, postgres_row const& record, postgres_time now) const;
    void sweep(postgres_tables const& committed, postgres_time now,
               std::function<bool(std::string const&)> const& is_locked);
    [[nodiscard]] bool is_held(postgres_row const& record, asked_row const& by, postgres_time now) const;
    [[nodiscard]] bool takes_over(postgres_row const& record, postgres_time now) const;
    [[nodiscard]] bool looks_for_marks() const noexcept;

    void write_claim(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_complete(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_renewed(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_step(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_parked(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_settled(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_abandoned(row_run& row, postgres_row const* record, postgres_time now) const;
    void write_forgotten(row_run& row, postgres_row const* record, postgres_time now) const;

    [[nodiscard]] std::vector<postgres_fields> claimed() const;
    [[nodiscard]] std::vector<postgres_fields> written_keys() const;
    [[nodiscard]] std::vector<postgres_fields> ones() const;
    [[nodiscard]] std::vector<postgres_fields> records_read() const;
    [[nodiscard]] std::vector<postgres_fields> fetched() const;
    [[nodiscard]] std::vector<postgres_fields> peeked() const;

    statement_kind kind_;
    mutant bug_;
    std::vector<row_run> rows_;
    std::vector<std::string> deleted_;
    std::map<std::string, postgres_time> marked_;
    std::vector<std::string> unmarked_;
    /// Of what is peeked at.
    std::vector<postgres_time> marks_;
    postgres_time looked_at_ = 0;
    bool may_walk_ = true;
    bool begins_at_front_ = true;
};

}  // namespace idempo::simulation
