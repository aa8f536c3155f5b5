// SPDX-License-Identifier: MIT
#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace idempo::postgres {

struct clear_result {
    void operator()(PGresult* of) const noexcept { PQclear(of); }
};

/// The rows that a statement returned. A view of a field is valid as long as the result.
class result {
public:
    explicit result(PGresult* made = nullptr) noexcept : rows_(made) {}

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool has_rows() const noexcept { return size() > 0; }
    /// Whether the statement was one that returns rows, even if it returned none.
    [[nodiscard]] bool is_table() const noexcept;
    /// What was done, as PostgreSQL says it: `COMMIT`, `INSERT 0 1`.
    [[nodiscard]] std::string_view tag() const noexcept;

    [[nodiscard]] bool is_null(std::size_t row, int column) const noexcept;
    /// As PostgreSQL sent it: text or binary.
    [[nodiscard]] std::string_view bytes(std::size_t row, int column) const noexcept;
    /// An integer or a boolean, in text or in binary. \throws std::invalid_argument where it is neither
    [[nodiscard]] std::int64_t number(std::size_t row, int column) const;
    [[nodiscard]] bool flag(std::size_t row, int column) const { return number(row, column) != 0; }

private:
    std::unique_ptr<PGresult, clear_result> rows_;
};

}  // namespace idempo::postgres
