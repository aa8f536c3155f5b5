// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace idempo::postgres {

/// Deletes expired records, or replaces them by the marks that they leave; then the marks that have ended; a slice of a
/// table at a time.
///
/// It walks a table in the order of its pages, so that no index on a column that changes is needed, and no slice
/// costs more than its pages, whatever the statistics say. It waits for no lock, and takes only rows that have expired
/// by the server's clock when it holds them: a claim that has just taken over is safe. Several may run at once.
class sweeper {
public:
    /// \param table quoted, with its schema
    /// \param grace how long an expired record that leaves a mark stays: longer than any statement of a claim lasts
    explicit sweeper(std::string const& table, std::chrono::milliseconds grace = std::chrono::minutes{1});

    struct slice {
        std::size_t deleted = 0;
        /// The next slice begins at the front again.
        bool was_last = false;
    };

    /// Whether no other connection walks through the table: until this one closes, it is the one that does. Behind a
    /// pooler, where a connection has no session of its own, all may.
    /// \throws statement_failure
    [[nodiscard]] bool may_walk(connection& with) const;

    /// \throws statement_failure
    slice sweep(connection& with);

private:
    struct walk {
        std::string text;
        std::int64_t next_page = 0;
    };

    /// Through the records, then through the marks.
    std::array<walk, 2> walks_;
    std::size_t present_ = 0;
    std::int64_t lock_number_;
};

}  // namespace idempo::postgres
