// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/keyed_transaction.hpp>

#include <idempo/postgres/connection/libpq_socket.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/connection/statement_io.hpp>
#include <idempo/postgres/queue/record_row.hpp>
#include <idempo/postgres/transaction/transaction_fsm.hpp>
#include <idempo/postgres/transaction/transaction_pool.hpp>
#include <idempo/postgres/transaction/transaction_refused.hpp>

#include <pqxx/subtransaction>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

namespace idempo::postgres {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// There is no connection.
struct no_connection {};

/// The server answered, but not as we need it.
struct unfit_server {
    postgres_problem problem = postgres_problem::statement_failed;
    std::string sqlstate{};
};

/// libpq's deadline comes first; this one is for the end of the executor's context.
constexpr std::chrono::seconds grace{5};

/// Firewalls forget connections that have been idle for longer, some for much longer.
constexpr std::chrono::seconds idle_for_long{2};

std::optional<record_row> read_record(result const& table, fencing_token const& by, fingerprint const& of) {
    if (!table.has_rows()) return std::nullopt;
    using column = transaction_text::record_columns;
    record_row found;
    found.is_remembered = table.is_null(0, column::attempt);
    if (found.is_remembered) return found;
    found.is_own_fencing_token = table.bytes(0, column::token) == by.view();
    found.is_same_fingerprint = table.bytes(0, column::fingerprint) == of.view();
    found.recorded = fingerprint_from(table.bytes(0, column::fingerprint));
    found.attempt = static_cast<unsigned>(table.number(0, column::attempt));
    found.lease_remaining = std::chrono::microseconds(table.number(0, column::lease_remaining));
    found.is_completed = table.flag(0, column::is_completed);
    if (!table.is_null(0, column::record)) found.record = shared_bytes(table.bytes(0, column::record));
    return found;
}

doubt_fsm::seen seen_in(std::optional<complete_result> const& found) {
    if (!found) return doubt_fsm::seen::no_record;
    return std::holds_alternative<done>(*found) ? doubt_fsm::seen::own_record : doubt_fsm::seen::other_record;
}

/// A pooler, a role or an operator may have overruled what was asked for. \throws unfit_server
void check(result const& lock, std::string const& isolation) {
    using column = transaction_text::lock_columns;
    if (lock.flag(0, column::is_read_only)) {
        throw unfit_server{postgres_problem::read_only, std::string(sqlstate::read_only_transaction)};
    }
    if (lock.bytes(0, column::isolation) != isolation) throw unfit_server{};
}

}  // namespace

/// A transaction on a connection of the pool, which it gives back when it has ended well, and drops otherwise.
class keyed_transaction::session {
public:
    /// \throws no_connection
    explicit session(transaction_pool& from) : pool_(from), connection_(from.take()) {
        if (!connection_) throw no_connection();
        if (!is_usable()) replace();
    }
    session(session const&) = delete;
    session& operator=(session const&) = delete;

    ~session() {
        if (!connection_) return;
        connection_->guard.shut_down();  // so that nothing below waits for the server
        close();
        pool_.drop(std::move(connection_), is_late_);
    }

    [[nodiscard]] bool checks_client() const noexcept { return connection_->checks_client; }

    /// The tables of a message that begins a transaction. A connection that was idle may have been forgotten, and
    /// nothing has been lost with it: then on another one.
    std::vector<result> begin(message const& all) {
        auto const timeout = pool_.options().database.operation_timeout;
        auto const is_old = connection_->was_idle && steady_clock::now() - connection_->idle_since > idle_for_long;
        try {
            return tables_of(send_beginning(all, is_old ? timeout / 4 : timeout));
        } catch (statement_failure const&) {
            if (!connection_->was_idle || (is_late_ && !is_old)) throw;
            replace();
            return tables_of(send_beginning(all, timeout));
        }
    }

    /// \throws statement_failure where the connection is lost
    script_outcome send(message const& all) { return send(all, pool_.options().database.operation_timeout); }

    /// The tables of a message within the transaction, before the handler runs.
    std::vector<result> ask(message const& all) {
        auto outcome = send(all);
        if (!outcome.has_succeeded()) throw statement_failure(outcome.sqlstate, false);
        allow_handler();
        return tables_of(std::move(outcome));
    }

    /// After a message failed: whether the session is as it was before the transaction.
    [[nodiscard]] bool clean_up() { return send(pool_.text().clean_up()).has_succeeded(); }

    /// Ends a transaction in which no handler ran, and does not wait for it.
    void end_and_give_back() {
        auto const timeout = pool_.options().database.operation_timeout;
        allow(timeout + grace);
        connection_->line.post(pool_.text().end(), steady_clock::now() + timeout);
        give_back();
    }

    pqxx::subtransaction& begin_handler() {
        handler_.emplace(*connection_->to);
        allow_handler();
        return handler_->rows();
    }
    [[nodiscard]] pqxx::subtransaction& rows() noexcept { return handler_->rows(); }

    /// Returns why its rows cannot be kept, as `handler_transaction::close`.
    [[nodiscard]] std::string end_handler() {
        if (!handler_) return {};
        allow(pool_.options().database.operation_timeout + grace);
        auto failed_by = handler_->close();
        handler_.reset();
        return failed_by;
    }

    /// The transaction has ended, and the session is as it was.
    void give_back() {
        close();
        pool_.give_back(std::move(connection_));
    }

private:
    script_outcome send(message const& all, milliseconds timeout) {
        is_late_ = false;
        try {
            allow(timeout + grace);
            auto outcome = connection_->line.run(all, steady_clock::now() + timeout);
            if (connection_->is_direct && !connection_->line.keeps_names()) pool_.stop_naming();
            return outcome;
        } catch (statement_failure const& failed) {
            is_late_ = failed.timed_out;
            throw;
        }
    }

    /// The handler of an earlier request may have made the session forget its prepared statements.
    script_outcome send_beginning(message const& all, milliseconds timeout) {
        bool const had_names = connection_->line.keeps_names();
        auto outcome = send(all, timeout);
        if (connection_->line.keeps_names() || !had_names) return outcome;
        static_cast<void>(send(pool_.text().end(), timeout));
        return send(all, timeout);
    }

    /// It was idle: what was sent last must have succeeded.
    [[nodiscard]] bool is_usable() {
        try {
            auto const timeout = pool_.options().database.operation_timeout / 4;
            allow(timeout + grace);
            connection_->line.settle(steady_clock::now() + timeout);
            return !has_been_closed(connection_->raw);
        } catch (statement_failure const&) {
            return false;
        }
    }

    static std::vector<result> tables_of(script_outcome outcome) {
        if (!outcome.has_succeeded()) throw unfit_server{postgres_problem::statement_failed, outcome.sqlstate};
        std::erase_if(outcome.results, [](result const& each) { return !each.is_table(); });
        return std::move(outcome.results);
    }

    void replace() {
        connection_->guard.shut_down();
        close();
        connection_ = pool_.replace(std::move(connection_));
        if (connection_) return;
        pool_.drop(nullptr);
        throw no_connection();
    }

    /// The server ends the handler's statements first, and more gently.
    void allow_handler() { allow(pool_.options().handler_timeout + pool_.options().database.operation_timeout); }

    /// From now on, for all that is done.
    void allow(milliseconds timeout) {
        limit_.reset();
        limit_.emplace(pool_.watch(), connection_->guard, timeout);
    }

    void close() noexcept {
        handler_.reset();
        limit_.reset();
    }

    transaction_pool& pool_;
    std::unique_ptr<pooled_connection> connection_;
    std::optional<socket_watch::limit> limit_;
    std::optional<handler_transaction> handler_;
    bool is_late_ = false;
};

keyed_transaction::keyed_transaction(std::shared_ptr<transaction_pool> pool) : pool_(std::move(pool)) {}
keyed_transaction::~keyed_transaction() = default;

pqxx::subtransaction& keyed_transaction::rows() noexcept { return session_->rows(); }

/// Calls `steps`. Whatever is thrown ends the transaction, and returns false.
template <class Steps>
bool keyed_transaction::or_end(Steps steps) noexcept {
    try {
        steps();
        return true;
    } catch (no_connection const&) {  // told by the pool
    } catch (unfit_server const& unfit) {
        pool_->report(unfit.problem, unfit.sqlstate);
        if (!sqlstate::ends_connection(unfit.sqlstate)) end_unused();
    } catch (std::exception const&) {  // lost, or not an answer of ours
        pool_->report(postgres_problem::lost);
    }
    session_.reset();
    return false;
}

/// Before a handler has run: the connection is as good as it was.
void keyed_transaction::end_unused() noexcept {
    if (!session_) return;
    try {
        if (session_->send(pool_->text().end()).has_succeeded()) session_->give_back();
    } catch (std::exception const&) {
        pool_->report(postgres_problem::lost);
    }
}

void keyed_transaction::open(error_code& ec) {
    auto const is_open = or_end([&] {
        session_ = std::make_unique<session>(*pool_);
        auto const tables = session_->begin(pool_->text().open(session_->checks_client()));
        check(tables.at(0), pool_->text().isolation());
        session_->begin_handler();
    });
    ec = is_open ? error_code() : error_code(error::store_unavailable);
}

/// A record in flight is that of a store: whether its effect happened is not known when its lease has ended.
claim_result keyed_transaction::claim(claim_request const& request, error_code& ec) {
    constexpr bool takes_over = false;
    claim_result met = granted{1};
    auto const is_known = or_end([&] {
        auto const& text = pool_->text();
        session_ = std::make_unique<session>(*pool_);
        auto const tables = session_->begin(text.claim(request, session_->checks_client()));
        auto const& lock = tables.at(text.looks_first() ? 1 : 0);
        check(lock, text.isolation());
        auto const found =
            read_record(tables.at(text.looks_first() ? 0 : 1), request.fencing_token, request.fingerprint);
        auto other = read_claim(found, takes_over);
        if (!other && !lock.flag(0, transaction_text::lock_columns::is_locked)) {
            other = in_flight{pool_->options().handler_timeout};
        }
        if (!other) {
            session_->begin_handler();
            return;
        }
        met = std::move(*other);
        session_->end_and_give_back();
        session_.reset();
    });
    ec = is_known ? error_code() : error_code(error::store_unavailable);
    return met;
}

std::optional<record_info> keyed_transaction::peek(store_key const& key, error_code& ec) {
    std::optional<record_info> found;
    auto const is_known = or_end([&] {
        auto const tables = session_->ask(pool_->text().peek(key, session_->checks_client()));
        bool const is_locked = tables.at(0).flag(0, transaction_text::lock_columns::is_locked);
        auto const record = read_record(tables.at(1), {}, {});
        if (is_locked && !record) return;
        found.emplace();
        found->lease_remaining = pool_->options().handler_timeout;
        if (!record) return;
        if (record->is_remembered) {
            // Whoever holds the lock is about to find the mark, too.
            if (is_locked) found->state = record_state::remembered;
            return;
        }
        found->state = record->is_completed ? record_state::completed : record_state::in_flight;
        found->attempt = record->attempt;
        found->lease_remaining = std::chrono::duration_cast<milliseconds>(record->lease_remaining);
    });
    ec = is_known ? error_code() : error_code(error::store_unavailable);
    return found;
}

keyed_transaction::ending keyed_transaction::complete(complete_request const& request, bool keeps_rows,
                                                      std::function<void()> const& committing) {
    ending ended{transaction_end::undone, done{}};
    bool is_in_doubt = false;
    or_end([&] {
        auto const failed_by = session_->end_handler();
        if (!failed_by.empty() && keeps_rows) {
            ended.end = refuse(failed_by, sqlstate::is_about_end(failed_by));
            return;
        }
        auto const completing = pool_->text().complete(request, keeps_rows);
        committing();
        is_in_doubt = true;
        auto const outcome = session_->send(completing);
        is_in_doubt = false;
        auto const after = after_complete({outcome.results.size(), outcome.sqlstate});
        if (after == after_ending::look_for_rival) {
            ended = look_after(request);
        } else {
            ended.end = end_by(after, outcome.sqlstate);
        }
    });
    return is_in_doubt ? resolve(request) : std::move(ended);
}

transaction_end keyed_transaction::commit() {
    auto end = transaction_end::undone;
    bool is_in_doubt = false;
    or_end([&] {
        if (auto const failed_by = session_->end_handler(); !failed_by.empty()) {
            end = refuse(failed_by, sqlstate::is_about_end(failed_by));
            return;
        }
        is_in_doubt = true;
        auto const outcome = session_->send(pool_->text().commit());
        is_in_doubt = false;
        end = end_by(after_commit({outcome.results.size(), outcome.sqlstate}), outcome.sqlstate);
    });
    return is_in_doubt ? transaction_end::in_doubt : end;
}

/// \pre `after` is not `look_for_rival`
transaction_end keyed_transaction::end_by(after_ending after, std::string const& sqlstate) {
    switch (after) {
    case after_ending::give_back: session_->give_back(); [[fallthrough]];
    case after_ending::drop: session_.reset(); return transaction_end::committed;
    case after_ending::refuse:
    case after_ending::refuse_ended: return refuse(sqlstate, after == after_ending::refuse_ended);
    default: break;
    }
    pool_->report(postgres_problem::statement_failed, sqlstate);
    if (after == after_ending::undo && session_->clean_up()) session_->give_back();
    session_.reset();
    return transaction_end::undone;
}

transaction_end keyed_transaction::refuse(std::string const& sqlstate, bool handler_ended_it) {
    refusal_ = std::make_exception_ptr(transaction_refused(sqlstate, handler_ended_it));
    auto const problem = handler_ended_it ? postgres_problem::transaction_ended : postgres_problem::statement_failed;
    pool_->report(problem, sqlstate);
    // The session of a handler that ends transactions may be in any state.
    if (!handler_ended_it && session_->clean_up()) session_->give_back();
    session_.reset();
    return transaction_end::refused;
}

void keyed_transaction::roll_back() noexcept {
    if (!session_) return;
    or_end([&] {
        static_cast<void>(session_->end_handler());
        auto const outcome = session_->send(pool_->text().roll_back());
        if (outcome.has_succeeded()) {
            session_->give_back();
        } else if (outcome.results.size() == transaction_text::savepoint_place) {
            pool_->report(postgres_problem::transaction_ended, outcome.sqlstate);
        }
        session_.reset();
    });
}

/// Whether the lock can be had, and then what the record says: nothing where ours is not there, and nobody else's.
/// \throws what ends a transaction
bool keyed_transaction::look(complete_request const& request, std::optional<complete_result>& found) {
    auto const tables = session_->begin(pool_->text().look(request, session_->checks_client()));
    check(tables.at(0), "read committed");
    if (!tables.at(0).flag(0, transaction_text::lock_columns::is_locked)) return false;
    found = read_complete(read_record(tables.at(1), request.fencing_token, request.fingerprint));
    return true;
}

/// Our transaction has failed, since another one was faster.
keyed_transaction::ending keyed_transaction::look_after(complete_request const& request) {
    if (!session_->clean_up()) throw statement_failure({}, true);
    std::optional<complete_result> found;
    static_cast<void>(look(request, found));
    session_->give_back();
    session_.reset();
    if (!found) return {transaction_end::undone, done{}};
    return {transaction_end::overtaken, std::move(*found)};
}

keyed_transaction::ending keyed_transaction::resolve(complete_request const& request) {
    doubt_fsm doubt(steady_clock::now(), pool_->options().database.operation_timeout);
    std::optional<complete_result> found;
    while (true) {
        bool is_known = false;
        or_end([&] {
            session_ = std::make_unique<session>(*pool_);
            is_known = look(request, found);
            session_->give_back();
            session_.reset();
        });
        if (!doubt.looked(is_known ? seen_in(found) : doubt_fsm::seen::nothing, steady_clock::now())) break;
        std::this_thread::sleep_for(doubt_fsm::pause);
    }
    return {doubt.end(), found ? std::move(*found) : done{}};
}

}  // namespace idempo::postgres
