// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/migrate.hpp>

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/pqxx_versions.hpp>
#include <idempo/postgres/statements/filled.hpp>
#include <idempo/postgres/statements/lock_number.hpp>
#include <idempo/postgres/statements/migrations.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <pqxx/except>
#include <pqxx/result>
#include <pqxx/transaction>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace idempo {

namespace {

using std::string;

/// The names of the tables, as SQL writes them.
struct table_names {
    explicit table_names(postgres_options const& options)
        : schema(postgres::quoted_name(options.schema)),
          records(schema + "." + postgres::quoted_name(options.table)),
          marks(postgres::marks_table(records)),
          migrations(schema + "." + postgres::quoted_name(options.table + "_migrations")) {
        constexpr std::size_t longest = 63 - std::string_view("_migrations").size();
        if (options.table.size() > longest) throw std::invalid_argument("postgres: the table's name is longer than 52");
    }

    string schema;
    string records;
    string marks;
    string migrations;
};

std::shared_ptr<postgres::pqxx_connection> connect(postgres_options const& options) {
    std::atomic<bool> const never{false};
    std::string why;
    postgres::connector to(options.connection, options.connect_timeout);
    auto made = to.connect(never, why);
    if (!made) throw std::runtime_error("postgres: cannot connect: " + why);
    return postgres::adopt(std::move(made));
}

/// Calls `work` in a transaction; what libpqxx throws becomes a sentence.
template <class Work>
auto in_transaction(postgres_options const& options, Work work) {
    auto const connection = connect(options);
    try {
        pqxx::work transaction(*connection);
        transaction.exec("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        // A host that vanishes between two statements would keep the tables locked until TCP gives up.
        transaction.exec("SET LOCAL idle_in_transaction_session_timeout = '30s'");
        auto result = work(transaction);
        transaction.commit();
        return result;
    } catch (pqxx::failure const& failed) {
        throw std::runtime_error(string("postgres: ") + failed.what());
    }
}

bool exists(pqxx::work& transaction, char const* finder, string const& name) {
    return !transaction.exec(string("SELECT pg_catalog.") + finder + "(" + postgres::quoted_string(name) + ")")[0][0]
                .is_null();
}

int newest_migration() { return postgres::migrations().back().number; }

int applied_migration(pqxx::work& transaction, table_names const& names) {
    if (!exists(transaction, "to_regclass", names.records)) return 0;
    if (!exists(transaction, "to_regclass", names.migrations)) return 0;
    return transaction.exec("SELECT coalesce(pg_catalog.max(number), 0) FROM " + names.migrations)[0][0].as<int>();
}

/// Until the transaction ends. Processes that migrate the same table queue up; others do not.
void lock(pqxx::work& transaction, char const* purpose, string const& name) {
    transaction.exec("SELECT pg_catalog.pg_advisory_xact_lock('" +
                     std::to_string(postgres::lock_number(purpose, name)) + "'::pg_catalog.int8)");
}

void make_missing(pqxx::work& transaction, table_names const& names) {
    // Tables that share a new schema are migrated at once. The lock comes before the first look: the server remembers
    // that there is no such schema, and an advisory lock does not make it look again.
    lock(transaction, "schema", names.schema);
    // Not IF NOT EXISTS: that needs the permission to make a schema also where there is one.
    if (!exists(transaction, "to_regnamespace", names.schema)) transaction.exec("CREATE SCHEMA " + names.schema);
    if (exists(transaction, "to_regclass", names.migrations)) return;
    if (exists(transaction, "to_regclass", names.records)) {
        throw std::runtime_error("postgres: there is the table, but not its " + names.migrations +
                                 ", which says how old it is: restore that, too");
    }
    transaction.exec("CREATE TABLE " + names.migrations +
                     " (number integer PRIMARY KEY, applied_at pg_catalog.timestamptz NOT NULL DEFAULT "
                     "pg_catalog.clock_timestamp())");
}

/// Gives everybody who may use the records the same rights on the marks. Otherwise a migration by another role would
/// lock the services out of a table that they have never heard of.
void share_rights(pqxx::work& transaction, table_names const& names) {
    auto const grants = transaction.exec(
        "SELECT pg_catalog.format('GRANT %s ON %s TO %s%s', granted.privilege_type, " +
        postgres::quoted_string(names.marks) +
        "::pg_catalog.text, "
        "CASE WHEN granted.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC' "
        "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(granted.grantee)::pg_catalog.text) END, "
        "CASE WHEN granted.is_grantable THEN ' WITH GRANT OPTION' END) "
        "FROM pg_catalog.pg_class AS records CROSS JOIN LATERAL pg_catalog.aclexplode("
        "COALESCE(records.relacl, pg_catalog.acldefault('r', records.relowner))) AS granted "
        "WHERE records.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(" +
        postgres::quoted_string(names.records) +
        ")::pg_catalog.oid AND granted.privilege_type OPERATOR(pg_catalog.=) "
        "ANY (ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']::pg_catalog.text[])");
    for (auto const& grant : grants) transaction.exec(grant[0].as<string>());
}

std::size_t apply_missing(pqxx::work& transaction, table_names const& names) {
    auto const applied = applied_migration(transaction, names);
    bool const had_marks = exists(transaction, "to_regclass", names.marks);
    std::size_t count = 0;  // stays 0 where a later version was here
    for (auto const& each : postgres::migrations()) {
        if (each.number <= applied) continue;
        transaction.exec(postgres::filled(each.text, {{"table", names.records}, {"marks", names.marks}}));
        transaction.exec("INSERT INTO " + names.migrations + " (number) VALUES (" + std::to_string(each.number) + ")");
        ++count;
    }
    if (!had_marks && exists(transaction, "to_regclass", names.marks)) share_rights(transaction, names);
    return count;
}

/// Empty also where there is no table.
string missing_rights(pqxx::work& transaction, table_names const& names) {
    auto const has = [&](string const& function, string const& of, string const& right) {
        return transaction
            .exec("SELECT pg_catalog." + function + "(" + postgres::quoted_string(of) + ", '" + right + "')")[0][0]
            .as<bool>();
    };
    if (!exists(transaction, "to_regnamespace", names.schema)) return {};
    string missing;
    auto const demand = [&](string const& function, string const& of, string const& right) {
        if (!has(function, of, right)) (missing += missing.empty() ? "" : ", ") += right + " on " + of;
    };
    // The functions take a schema's name as it is, and a table's as SQL writes it.
    if (!transaction
             .exec("SELECT pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(" +
                   postgres::quoted_string(names.schema) + ")::pg_catalog.oid, 'USAGE')")[0][0]
             .as<bool>()) {
        return "USAGE on " + names.schema;
    }
    for (auto const& table : {names.records, names.marks}) {
        if (!exists(transaction, "to_regclass", table)) continue;
        for (auto const* const right : {"SELECT", "INSERT", "UPDATE", "DELETE"}) {
            demand("has_table_privilege", table, right);
        }
    }
    if (exists(transaction, "to_regclass", names.migrations)) {
        demand("has_table_privilege", names.migrations, "SELECT");
    }
    return missing;
}

bool is_unlogged(pqxx::work& transaction, table_names const& names) {
    auto const rows = transaction.exec("SELECT relpersistence FROM pg_catalog.pg_class WHERE oid "
                                       "OPERATOR(pg_catalog.=) pg_catalog.to_regclass(" +
                                       postgres::quoted_string(names.records) + ")::pg_catalog.oid");
    return !rows.empty() && rows[0][0].as<string>() == "u";
}

}  // namespace

std::size_t migrate(postgres_options const& options) {
    validate(options);
    table_names const names(options);
    return in_transaction(options, [&](pqxx::work& transaction) {
        lock(transaction, "migrate", names.records);
        make_missing(transaction, names);
        return apply_missing(transaction, names);
    });
}

postgres_check check_postgres(postgres_options const& options) {
    validate(options);
    table_names const names(options);
    return in_transaction(options, [&](pqxx::work& transaction) {
        postgres_check found;
        auto const result = transaction.exec("SELECT pg_catalog.current_setting('server_version_num'), "
                                             "pg_catalog.current_setting('transaction_read_only'), "
                                             "pg_catalog.current_setting('fsync'), "
                                             "pg_catalog.current_setting('synchronous_commit')");
        auto const row = result[0];
        found.server_version = row[0].as<int>();
        found.is_read_only = row[1].as<string>() == "on";
        found.has_fsync = row[2].as<string>() == "on";
        found.synchronous_commit = row[3].as<string>();
        found.needed_schema_version = newest_migration();
        found.missing_rights = missing_rights(transaction, names);
        if (found.missing_rights.empty()) {
            found.schema_version = applied_migration(transaction, names);
            found.is_unlogged = is_unlogged(transaction, names);
        }
        return found;
    });
}

postgres_counts count_postgres(postgres_options const& options) {
    validate(options);
    table_names const names(options);
    return in_transaction(options, [&](pqxx::work& transaction) {
        auto const counted = transaction.exec(postgres::count_statement(names.records));
        auto const number = [&](int column) { return counted[0][column].as<std::int64_t>(); };
        return postgres_counts{number(0), number(1), number(2), number(3), number(4), number(5), number(6)};
    });
}

std::vector<string> postgres_check::warnings() const {
    std::vector<string> sentences;
    auto const warn_if = [&](bool condition, string sentence) {
        if (condition) sentences.push_back(std::move(sentence));
    };
    warn_if(!missing_rights.empty(), "The role lacks " + missing_rights + ".");
    warn_if(schema_version == 0 && missing_rights.empty(), "The table is missing: call migrate.");
    warn_if(is_unlogged, "The table is UNLOGGED: a crash of the server empties it, and requests run twice.");
    warn_if(schema_version > 0 && schema_version < needed_schema_version, "The table is outdated: call migrate.");
    warn_if(is_read_only, "The server is read-only: a standby, or default_transaction_read_only.");
    warn_if(!has_fsync, "fsync is off: when the machine goes down, the database may be lost.");
    warn_if(synchronous_commit == "off",
            "synchronous_commit is off by default. The store overrules it; the application's own commits may be lost.");
    return sentences;
}

}  // namespace idempo
