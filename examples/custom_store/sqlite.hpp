#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string_view>

/// \file
/// As much of SQLite as the store needs, with exceptions and destructors.

/// An error code of SQLite's, and its sentence.
struct sqlite_error : std::runtime_error {
    sqlite_error(int code_, char const* sentence) : std::runtime_error(sentence), code(code_) {}
    int code;
};

/// Opens the file, or makes it. \throws sqlite_error
class sqlite_database {
public:
    explicit sqlite_database(char const* path) {
        ::sqlite3* opened = nullptr;
        int const code = ::sqlite3_open(path, &opened);
        database_.reset(opened);  // also what could not be opened has to be closed
        check(code);
    }

    [[nodiscard]] ::sqlite3* get() const noexcept { return database_.get(); }

    void execute(char const* sql) const { check(::sqlite3_exec(get(), sql, nullptr, nullptr, nullptr)); }

    void check(int code) const {
        if (code != SQLITE_OK) throw sqlite_error(code, database_ ? ::sqlite3_errmsg(get()) : ::sqlite3_errstr(code));
    }

private:
    struct closer {
        void operator()(::sqlite3* database) const noexcept { ::sqlite3_close(database); }
    };
    std::unique_ptr<::sqlite3, closer> database_;
};

/// One statement, with a value for each `?`: bytes, numbers, or nullptr. `step` says whether there is a row.
class sqlite_statement {
public:
    template <class... Values>
    sqlite_statement(sqlite_database const& database, std::string_view sql, Values... values) : database_(&database) {
        ::sqlite3_stmt* prepared = nullptr;
        database.check(
            ::sqlite3_prepare_v2(database.get(), sql.data(), static_cast<int>(sql.size()), &prepared, nullptr));
        statement_.reset(prepared);
        int index = 0;
        (database.check(bind(++index, values)), ...);
    }

    bool step() {
        int const code = ::sqlite3_step(statement_.get());
        if (code != SQLITE_ROW && code != SQLITE_DONE) database_->check(code);
        return code == SQLITE_ROW;
    }

    /// \name Of the row that `step` found, by column. Bytes are valid until the next step.
    /// @{
    [[nodiscard]] bool is_null(int column) const {
        return ::sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
    }
    [[nodiscard]] std::int64_t number(int column) const { return ::sqlite3_column_int64(statement_.get(), column); }
    [[nodiscard]] std::string_view bytes(int column) const {
        auto const* const data = static_cast<char const*>(::sqlite3_column_blob(statement_.get(), column));
        return {data, static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column))};
    }
    /// @}

private:
    /// A null pointer would be bound as NULL, which is not an empty blob.
    int bind(int index, std::string_view bytes) {
        auto const* const data = bytes.data() != nullptr ? bytes.data() : "";
        return ::sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_TRANSIENT);
    }
    int bind(int index, std::int64_t number) { return ::sqlite3_bind_int64(statement_.get(), index, number); }
    int bind(int index, std::nullptr_t) { return ::sqlite3_bind_null(statement_.get(), index); }

    struct finalizer {
        void operator()(::sqlite3_stmt* statement) const noexcept { ::sqlite3_finalize(statement); }
    };
    sqlite_database const* database_;
    std::unique_ptr<::sqlite3_stmt, finalizer> statement_;
};

/// BEGIN IMMEDIATE, and ROLLBACK unless committed: nobody else writes in between, in this process or another.
class sqlite_transaction {
public:
    explicit sqlite_transaction(sqlite_database const& database) : database_(&database) {
        database.execute("BEGIN IMMEDIATE");
    }
    sqlite_transaction(sqlite_transaction const&) = delete;
    sqlite_transaction& operator=(sqlite_transaction const&) = delete;
    ~sqlite_transaction() {
        if (!committed_) ::sqlite3_exec(database_->get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }

    void commit() {
        database_->execute("COMMIT");
        committed_ = true;
    }

private:
    sqlite_database const* database_;
    bool committed_ = false;
};
