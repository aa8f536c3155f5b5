// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/keyed_transaction.hpp>

#include <chrono>
#include <cstddef>
#include <string_view>

/// \file
/// Decisions without I/O: what the answer to the message with COMMIT means, and how a COMMIT in doubt is told.

namespace idempo::postgres {

/// The answer to a message of `transaction_text` that ends a transaction.
struct ending_answer {
    /// How many statements succeeded.
    std::size_t succeeded = 0;
    /// Of the one that failed; empty where none did.
    std::string_view sqlstate{};
};

enum class after_ending {
    /// Committed, and the session is as it was before.
    give_back,
    /// Committed, and the session is of no more use.
    drop,
    /// Nothing was committed, perhaps since another request was faster: its record tells.
    look_for_rival,
    /// Nothing was committed: the server refuses what the handler did.
    refuse,
    /// The handler has ended the transaction itself.
    refuse_ended,
    /// Nothing was committed, and another attempt may succeed.
    undo,
    /// The same, and the session is of no more use.
    undo_and_drop,
};

/// Of `transaction_text::complete`.
[[nodiscard]] after_ending after_complete(ending_answer const& met);

/// Of `transaction_text::commit`.
[[nodiscard]] after_ending after_commit(ending_answer const& met);

/// COMMIT was sent, and its answer is lost. Once the lock can be had, that transaction has ended, and the record tells
/// how. Until then somebody has to look again and again.
class doubt_fsm {
public:
    using time_point = std::chrono::steady_clock::time_point;

    enum class seen {
        /// There was no connection, or the lock could not be had.
        nothing,
        no_record,
        own_record,
        other_record,
    };

    static constexpr std::chrono::milliseconds pause{20};

    doubt_fsm(time_point now, std::chrono::milliseconds timeout) noexcept : deadline_(now + timeout) {}

    /// After each look. Returns whether to look again, after `pause`.
    [[nodiscard]] bool looked(seen found, time_point now) noexcept;

    /// In doubt until a look has told.
    [[nodiscard]] transaction_end end() const noexcept { return end_; }

private:
    time_point deadline_;
    transaction_end end_ = transaction_end::in_doubt;
};

}  // namespace idempo::postgres
