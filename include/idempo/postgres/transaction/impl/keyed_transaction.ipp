#pragma once

#include <idempo/postgres/transaction/keyed_transaction.hpp>

#include <idempo/postgres/queue/record_row.hpp>
#include <idempo/postgres/transaction/transaction_pool.hpp>

#include <boost/algorithm/string/replace.hpp>

#include <pqxx/except>
#include <pqxx/result>
#include <pqxx/subtransaction>
#include <pqxx/transaction>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::milliseconds;

/// The server is not what we need, or no longer.
struct unfit_server : std::runtime_error {
    using runtime_error::runtime_error;
};

/// From the first eight bytes of a SHA-256. Two keys that share it get a needless 409.
std::int64_t lock_number(store_key const& key) {
    std::int64_t number = 0;
    std::memcpy(&number, key.bytes.data(), sizeof number);
    return number;
}

/// What the server must do for itself when we are gone, or stopped.
std::string settings_text(pqxx_connection const& connection, transactional_options const& options) {
    auto const handler = std::to_string(options.handler_timeout.count());
    std::string text = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; "
                       "SET LOCAL statement_timeout = " +
                       handler + "; SET LOCAL idle_in_transaction_session_timeout = " + handler;
    constexpr int with_client_check = 140000;
    if (connection.server_version() >= with_client_check) text += "; SET LOCAL client_connection_check_interval = 1000";
    return text;
}

// The settings come back, since a pooler or a role may overrule what was asked for.
constexpr auto transactional_read_text = R"sql(
SELECT
    current_setting('transaction_isolation') = 'read committed' AND current_setting('transaction_read_only') = 'off',
    record.token = $2::bytea,
    record.fingerprint = $3::bytea,
    record.attempt,
    (extract(epoch FROM record.lease_until - clock_timestamp()) * 1000000)::bigint,
    record.response IS NOT NULL,
    CASE WHEN record.fingerprint = $3::bytea THEN encode(record.response, 'hex') END
FROM (SELECT $1::bytea AS key) AS given
LEFT JOIN LATERAL (
    SELECT * FROM {table} AS found WHERE found.key = given.key AND found.expires_at > clock_timestamp() OFFSET 0
) AS record ON true)sql";

/// The record under the key, if there is one that has not expired. Its own statement: only so does it see what others
/// have committed before it began.
std::optional<record_row> read(pqxx::transaction_base& within, std::string const& table, store_key const& key,
                               token const& by, fingerprint const& of) {
    binary_parameters parameters;
    parameters.add(key.view());
    parameters.add(by.view());
    parameters.add(of.view());
    auto const result =
        execute(within, boost::replace_all_copy(std::string(transactional_read_text), "{table}", table), parameters);
    auto const row = result[0];
    if (!row[0].as<bool>()) throw unfit_server("not a read committed transaction that may write");
    if (row[1].is_null()) return std::nullopt;
    record_row found;
    found.is_own_token = row[1].as<bool>();
    found.is_same_fingerprint = row[2].as<bool>();
    found.attempt = row[3].as<unsigned>();
    found.lease_remaining = std::chrono::microseconds(row[4].as<std::int64_t>());
    found.is_completed = row[5].as<bool>();
    if (!row[6].is_null()) found.record = decode_hex({row[6].c_str(), row[6].size()});
    return found;
}

/// Held to the end of the transaction, wherever it ends.
bool try_lock(pqxx::transaction_base& within, store_key const& key) {
    binary_parameters parameters;
    parameters.add(lock_number(key));
    return execute(within, "SELECT pg_try_advisory_xact_lock($1::bigint)", parameters)[0][0].as<bool>();
}

/// False where another request's record is there.
bool insert(pqxx::transaction_base& within, statements const& sql, complete_request const& request) {
    binary_parameters parameters;
    parameters.add(request.key.view());
    parameters.add(request.token.view());
    parameters.add(request.fingerprint.view());
    parameters.add(std::int64_t{request.retention.count()});
    parameters.add(request.record.view());
    return !execute(within, sql.complete.one, parameters).empty();
}

}  // namespace

/// A transaction on a connection of the pool, which it gives back when it has ended well, and drops otherwise.
struct keyed_transaction::session {
    /// \throws unfit_server
    explicit session(transaction_pool& from) : pool(from), connection(from.take()) {
        if (!connection) throw unfit_server("no connection in time");
    }
    session(session const&) = delete;
    session& operator=(session const&) = delete;

    ~session() {
        if (connection) connection->guard.shut_down();  // so that nothing below waits for the server
        close();
        if (!is_given_back) pool.drop(std::move(connection));
    }

    /// A connection that was idle may have ended since, and nothing has been lost with it: then on another one.
    void begin() {
        try {
            try_to_begin();
        } catch (pqxx::failure const&) {
            if (!connection->was_idle) throw;
            reconnect();
            try_to_begin();
        }
    }

    void try_to_begin() {
        allow(pool.options().database.operation_timeout);
        work.emplace(*connection->to);
        work->exec(settings_text(*connection->to, pool.options()));
    }

    void reconnect() {
        connection->guard.shut_down();
        close();
        connection = pool.replace(std::move(connection));
        if (connection) return;
        is_given_back = true;
        pool.drop(nullptr);
        throw unfit_server("cannot connect");
    }

    /// From now on, for all that is done.
    void allow(milliseconds timeout) {
        limit.reset();
        limit.emplace(pool.watch(), connection->guard, timeout);
    }

    /// Under a name that the handler cannot hit upon: where it ends our transaction and begins another, RELEASE fails.
    void set_savepoint() {
        rows.emplace(*work, "idempo_" + to_hex(make_token().view()));
        // The server ends the handler's statements first, and more gently.
        allow(pool.options().handler_timeout + pool.options().database.operation_timeout);
    }

    void settle_rows(bool keeps) {
        allow(pool.options().database.operation_timeout);
        keeps ? rows->commit() : rows->abort();
        rows.reset();
    }

    void commit() {
        work->commit();
        give_back();
    }

    void roll_back() {
        allow(pool.options().database.operation_timeout);
        if (rows) rows->abort();
        work->abort();
        give_back();
    }

    void give_back() {
        close();
        if (!connection->to->is_open()) return;
        is_given_back = true;
        pool.give_back(std::move(connection));
    }

    void close() noexcept {
        rows.reset();
        work.reset();
        limit.reset();
    }

    transaction_pool& pool;
    std::unique_ptr<pooled_connection> connection;
    std::optional<socket_watch::limit> limit;
    std::optional<pqxx::work> work;
    std::optional<pqxx::subtransaction> rows;
    bool is_given_back = false;
};

keyed_transaction::keyed_transaction(std::shared_ptr<transaction_pool> pool) : pool_(std::move(pool)) {}
keyed_transaction::~keyed_transaction() = default;

pqxx::subtransaction& keyed_transaction::rows() noexcept { return *session_->rows; }

/// Calls `steps`; whatever is thrown ends the transaction.
template <class Steps>
auto keyed_transaction::or_end(error_code& ec, Steps steps) -> decltype(steps()) {
    ec = {};
    try {
        return steps();
    } catch (pqxx::sql_error const& failed) {
        pool_->report(postgres_problem::statement_failed, std::string(failed.sqlstate()));
    } catch (std::exception const&) {  // lost, unfit, or not an answer of ours
        pool_->report(postgres_problem::lost);
    }
    session_.reset();
    ec = error::store_unavailable;
    return decltype(steps())();
}

void keyed_transaction::open(error_code& ec) {
    or_end(ec, [&] {
        session_ = std::make_unique<session>(*pool_);
        session_->begin();
        session_->set_savepoint();
    });
}

claim_result keyed_transaction::claim(claim_request const& request, error_code& ec) {
    return or_end(ec, [&]() -> claim_result {
        session_ = std::make_unique<session>(*pool_);
        session_->begin();
        auto met = look(request);
        if (!met && !try_lock(*session_->work, request.key)) met = in_flight{pool_->options().handler_timeout};
        if (!met) met = look(request);  // what was committed before the lock was ours
        if (met) {
            session_->roll_back();
            session_.reset();
            return *met;
        }
        session_->set_savepoint();
        return granted{1};
    });
}

/// A record in flight is that of a store: whether its effect happened is not known when its lease has ended.
std::optional<claim_result> keyed_transaction::look(claim_request const& request) {
    constexpr bool takes_over = false;
    return read_claim(read(*session_->work, pool_->table(), request.key, request.token, request.fingerprint),
                      takes_over);
}

complete_result keyed_transaction::complete(complete_request const& request, bool keeps_rows,
                                            std::function<void()> const& committing, error_code& ec) {
    bool is_in_doubt = false;
    auto const result = or_end(ec, [&]() -> complete_result {
        session_->settle_rows(keeps_rows);
        if (!insert(*session_->work, pool_->sql(), request)) {
            session_->roll_back();
            return settled_by_another(request);
        }
        committing();
        is_in_doubt = true;
        session_->commit();
        is_in_doubt = false;
        session_.reset();
        return done{};
    });
    return is_in_doubt ? resolve(request, ec) : result;
}

void keyed_transaction::commit(bool keeps_rows, error_code& ec) {
    or_end(ec, [&] {
        session_->settle_rows(keeps_rows);
        session_->commit();
        session_.reset();
    });
}

void keyed_transaction::roll_back() noexcept {
    if (!session_) return;
    error_code ignored;
    or_end(ignored, [&] { session_->roll_back(); });
    session_.reset();
}

/// What the record says that is there instead of ours. \pre the transaction has ended
complete_result keyed_transaction::settled_by_another(complete_request const& request) {
    session_.reset();
    session_ = std::make_unique<session>(*pool_);
    session_->begin();
    auto const found =
        read_complete(read(*session_->work, pool_->table(), request.key, request.token, request.fingerprint));
    session_->roll_back();
    session_.reset();
    if (!found) throw unfit_server("neither our record nor another one");
    return *found;
}

/// COMMIT has failed, with the connection perhaps. Once the lock can be had, that transaction has ended, and the record
/// tells how.
complete_result keyed_transaction::resolve(complete_request const& request, error_code& ec) {
    constexpr milliseconds between{20};
    auto const deadline = std::chrono::steady_clock::now() + pool_->options().database.operation_timeout;
    bool is_known = false;
    auto const look_again = [&]() -> complete_result {
        session_ = std::make_unique<session>(*pool_);
        session_->begin();
        if (!try_lock(*session_->work, request.key)) throw unfit_server("the transaction goes on");
        auto const found =
            read_complete(read(*session_->work, pool_->table(), request.key, request.token, request.fingerprint));
        is_known = true;
        session_->roll_back();
        session_.reset();
        if (!found) throw unfit_server("not committed");
        return *found;
    };
    while (true) {
        auto const result = or_end(ec, look_again);
        if (is_known || std::chrono::steady_clock::now() >= deadline) return result;
        std::this_thread::sleep_for(between);
    }
}

}  // namespace idempo::postgres
