// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/system/system_error.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <semaphore>
#include <string_view>

/// \file
/// The part of SQLite that the store needs, with destructors, and with a store's errors: failures throw
/// `boost::system::system_error` with an `idempo::error`.

/// The store's error for an error code of SQLite.
inline idempo::error meaning_of(int code) {
    switch (code) {
    case SQLITE_BUSY: return idempo::error::store_timed_out;
    case SQLITE_FULL: return idempo::error::store_full;
    default: return idempo::error::store_unavailable;
    }
}

/// Opens the file, or creates it.
class sqlite_database {
public:
    explicit sqlite_database(char const* path) {
        ::sqlite3* opened = nullptr;
        int const code = ::sqlite3_open(path, &opened);
        database_.reset(opened);  // a failed open must be closed, too
        check(code);
    }

    [[nodiscard]] ::sqlite3* get() const noexcept { return database_.get(); }

    void execute(char const* sql) const { check(::sqlite3_exec(get(), sql, nullptr, nullptr, nullptr)); }

    void check(int code) const {
        if (code == SQLITE_OK) return;
        throw boost::system::system_error(meaning_of(code),
                                          database_ ? ::sqlite3_errmsg(get()) : ::sqlite3_errstr(code));
    }

private:
    friend class sqlite_transaction;
    struct closer {
        void operator()(::sqlite3* database) const noexcept { ::sqlite3_close(database); }
    };
    std::unique_ptr<::sqlite3, closer> database_;
    std::binary_semaphore free_{1};  // ThreadSanitizer does not know how GCC's timed_mutex waits
};

/// One statement, with a value for each `?`: bytes, bytes or NULL, or a number. `step` says whether there is a row.
class sqlite_statement {
public:
    template <class... Values>
    sqlite_statement(sqlite_database const& database, std::string_view sql, Values... values) : database_(&database) {
        ::sqlite3_stmt* prepared = nullptr;
        database.check(
            ::sqlite3_prepare_v2(database.get(), sql.data(), static_cast<int>(sql.size()), &prepared, nullptr));
        statement_.reset(prepared);
        [[maybe_unused]] int index = 0;  // a statement may have no value
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
    int bind(int index, std::optional<std::string_view> bytes) {
        return bytes ? bind(index, *bytes) : ::sqlite3_bind_null(statement_.get(), index);
    }
    int bind(int index, std::int64_t number) { return ::sqlite3_bind_int64(statement_.get(), index, number); }

    struct finalizer {
        void operator()(::sqlite3_stmt* statement) const noexcept { ::sqlite3_finalize(statement); }
    };
    sqlite_database const* database_;
    std::unique_ptr<::sqlite3_stmt, finalizer> statement_;
};

/// This thread's turn, BEGIN IMMEDIATE, and ROLLBACK unless committed: nobody else writes meanwhile, in this process or
/// another. Waits for at most `timeout` for both together; then it fails with `store_timed_out`.
class sqlite_transaction {
public:
    sqlite_transaction(sqlite_database& database, std::chrono::milliseconds timeout)
        : sqlite_transaction(database, std::chrono::steady_clock::now() + timeout) {}

    sqlite_transaction(sqlite_transaction const&) = delete;
    sqlite_transaction& operator=(sqlite_transaction const&) = delete;
    ~sqlite_transaction() {
        if (!committed_) ::sqlite3_exec(turn_.database.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }

    void commit() {
        turn_.database.execute("COMMIT");
        committed_ = true;
    }

private:
    using time_point = std::chrono::steady_clock::time_point;

    struct turn {
        turn(sqlite_database& database_, time_point deadline) : database(database_) {
            if (database.free_.try_acquire_until(deadline)) return;
            throw boost::system::system_error(idempo::error::store_timed_out);
        }
        turn(turn const&) = delete;
        turn& operator=(turn const&) = delete;
        ~turn() { database.free_.release(); }

        sqlite_database& database;
    };

    sqlite_transaction(sqlite_database& database, time_point deadline) : turn_(database, deadline) {
        using std::chrono::milliseconds;
        auto const rest = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        ::sqlite3_busy_timeout(database.get(), static_cast<int>(std::max(rest, milliseconds(1)).count()));
        database.execute("BEGIN IMMEDIATE");
    }

    turn turn_;
    bool committed_ = false;
};
