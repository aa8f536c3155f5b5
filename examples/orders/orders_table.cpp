// SPDX-License-Identifier: MIT
#include "orders/orders_table.hpp"

#include "common/execute_sql.hpp"
#include "orders/embedded_files.hpp"

#include <pqxx/connection>
#include <pqxx/nontransaction>
#include <pqxx/result>
#include <pqxx/transaction>

#include <stdexcept>

namespace {

/// What `read` reads.
std::string const columns = "id, user_id, item, amount, idempotency_key, "
                            "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created";

// A template, since the rows of a result are no `pqxx::row` in libpqxx 8.
template <class Row>
order read(Row const& row) {
    order made;
    made.id = row[0].c_str();
    made.user_id = row[1].c_str();
    made.item = row[2].c_str();
    made.amount = row[3].template as<std::int64_t>();
    made.idempotency_key = row[4].c_str();
    made.created_at = row[5].c_str();
    return made;
}

}  // namespace

placement place_order(pqxx::transaction_base& within, order_request const& request, std::string const& key,
                      std::string const& fingerprint) {
    static std::string const insert =
        "INSERT INTO orders (user_id, item, amount, idempotency_key, fingerprint) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (idempotency_key) DO NOTHING RETURNING " +
        columns;
    static std::string const select = "SELECT " + columns + ", fingerprint = $2 FROM orders WHERE idempotency_key = $1";

    auto const inserted = execute_sql(within, insert, request.user_id, request.item, request.amount, key, fingerprint);
    if (!inserted.empty()) return {placement::outcome::made, read(inserted[0])};
    // A second statement, since the first does not see a row that was committed while it waited.
    auto const existing = execute_sql(within, select, key, fingerprint);
    if (existing.empty()) throw std::runtime_error("an order was deleted while its key was looked up");
    bool const is_same = existing[0][6].as<bool>();
    return {is_same ? placement::outcome::existed : placement::outcome::other_request, read(existing[0])};
}

std::optional<order> find_order(pqxx::transaction_base& within, std::string const& id) {
    // Compared as text, since other text than a UUID would be an error. For UUIDs, the primary key's index is used.
    auto const found = execute_sql(within,
                                   "SELECT " + columns +
                                       " FROM orders WHERE id = CASE WHEN $1 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}"
                                       "-[0-9a-f]{12}$' THEN $1::uuid END",
                                   id);
    if (found.empty()) return std::nullopt;
    return read(found[0]);
}

std::vector<order> latest_orders(pqxx::transaction_base& within, int limit) {
    std::vector<order> latest;
    for (auto const& row :
         execute_sql(within, "SELECT " + columns + " FROM orders ORDER BY created_at DESC LIMIT $1", limit)) {
        latest.push_back(read(row));
    }
    return latest;
}

void create_orders_table(std::string const& connection) {
    pqxx::connection to_server(connection);
    pqxx::work transaction(to_server);
    transaction.exec("SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock(111478)");
    transaction.exec(std::string(embedded::schema_sql));
    transaction.commit();
}

bool has_orders_table(std::string const& connection) {
    pqxx::connection to_server(connection);
    pqxx::nontransaction autocommit(to_server);
    return autocommit.exec("SELECT to_regclass('orders') IS NOT NULL")[0][0].as<bool>();
}
