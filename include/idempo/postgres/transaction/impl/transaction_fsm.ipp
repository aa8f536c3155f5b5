// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transaction_fsm.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/transaction/transaction_text.hpp>

namespace idempo::postgres {

namespace {

/// The savepoint and COMMIT fail for what the handler did, unless the server is the reason.
after_ending after_message(ending_answer const& met, std::size_t commit_place) {
    if (met.sqlstate.empty()) return after_ending::give_back;
    if (met.succeeded > commit_place) return after_ending::drop;
    bool const is_at_savepoint = met.succeeded == transaction_text::savepoint_place;
    bool const is_handlers = is_at_savepoint || met.succeeded == commit_place;
    if (is_handlers && !sqlstate::is_transient(met.sqlstate) && !sqlstate::is_servers_fault(met.sqlstate)) {
        bool const has_ended = is_at_savepoint && met.sqlstate != sqlstate::in_failed_transaction;
        return has_ended ? after_ending::refuse_ended : after_ending::refuse;
    }
    return sqlstate::ends_connection(met.sqlstate) ? after_ending::undo_and_drop : after_ending::undo;
}

}  // namespace

after_ending after_complete(ending_answer const& met) {
    bool const is_met = met.succeeded == transaction_text::insert_place && met.sqlstate == sqlstate::division_by_zero;
    bool const is_uncommitted = met.succeeded <= transaction_text::complete_commit_place;
    if (is_met || (is_uncommitted && met.sqlstate == sqlstate::serialization_failure)) {
        return after_ending::look_for_rival;
    }
    return after_message(met, transaction_text::complete_commit_place);
}

after_ending after_commit(ending_answer const& met) { return after_message(met, transaction_text::commit_place); }

bool doubt_fsm::looked(seen found, time_point now) noexcept {
    switch (found) {
    case seen::nothing: return now < deadline_;
    case seen::no_record: end_ = transaction_end::undone; break;
    case seen::own_record: end_ = transaction_end::committed; break;
    case seen::other_record: end_ = transaction_end::overtaken; break;
    }
    return false;
}

}  // namespace idempo::postgres
