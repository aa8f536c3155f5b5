// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/operation.hpp>

#include <idempo/identifiers.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

namespace idempo::postgres {

using operation_ptr = std::shared_ptr<operation>;

/// Operations that share a statement: of one kind, in the order of their keys. Of one key there may be several where
/// all expect a record, in the order of their submission.
using batch = std::vector<operation_ptr>;

/// Which operations go into the next batch.
///
/// - Operations of one key run in the order of their submission, one at a time: only the first of them is ready, the
///   others wait until it has ended. What a holder asks goes before claims of others that wait.
/// - Claims that have waited so run together: one look at the record answers as many as come to a popular key at once.
/// - A batch ends at `largest_statement_bytes` of records.
/// - A batch is in the order of its keys, so that no two batches, of whatever process, lock rows in opposite orders.
/// - A worker takes all that is ready, and leaves nothing to another that is idle. Commits are dominated by the WAL
/// flush,
///   so one big batch beats several small ones.
class operation_queue {
public:
    /// Beyond that the server gains little, and the first in the batch waits for the last.
    static constexpr std::size_t largest_batch = 128;

    void push(operation_ptr submitted);

    /// The next batch, of the kind whose turn it is. Empty where nothing is ready.
    [[nodiscard]] batch take();

    /// The operation has ended: the next one of its key is ready.
    void finish(operation const& ended);

    /// Removes all that has not been taken.
    [[nodiscard]] std::vector<operation_ptr> clear();

    /// Whether a worker would find something to take.
    [[nodiscard]] bool is_ready() const noexcept { return ready_count_ > 0; }

private:
    std::deque<operation_ptr>& ready(operation_kind kind) { return ready_[static_cast<std::size_t>(kind)]; }
    void make_ready(operation_ptr first);
    [[nodiscard]] std::deque<operation_ptr>* next_turn();

    std::array<std::deque<operation_ptr>, operation_kinds> ready_;
    std::size_t ready_count_ = 0;
    std::size_t turn_ = 0;
    /// A key's operations: how many are ready or taken, and those behind them. A list, since most are empty: an empty
    /// deque is not free.
    struct key_queue {
        std::size_t running = 1;
        std::list<operation_ptr> behind;
    };

    void take_followers(batch& taken);
    static operation_ptr take_next(std::list<operation_ptr>& behind);

    /// Of each key with an operation that is ready or taken.
    std::unordered_map<store_key, key_queue, identifier_hash> lines_;
};

}  // namespace idempo::postgres
