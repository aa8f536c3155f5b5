// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/pqxx_versions.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>

#include <pqxx/dbtransaction>

#if PQXX_VERSION_MAJOR < 7
#include <pqxx/basic_connection.hxx>
#include <pqxx/connectionpolicy.hxx>
#else
#include <pqxx/except>
#endif

#include <exception>
#include <string>
#include <utility>

namespace idempo::postgres {

#if PQXX_VERSION_MAJOR < 7

namespace {

/// Has the connection ready where libpqxx would begin to make one.
class adopting_policy : public pqxx::connectionpolicy {
public:
    explicit adopting_policy(std::string const& options) : connectionpolicy(options) {}

    handle do_startconnect(handle current) override { return current != nullptr ? current : made.release(); }

    // libpqxx makes the policy, from a string, and asks it for the connection before it can be told more.
    static thread_local libpq_connection made;
};

thread_local libpq_connection adopting_policy::made;

}  // namespace

/// BEGIN and COMMIT are sent without libpqxx.
class begun_transaction : public pqxx::dbtransaction {
public:
    explicit begun_transaction(pqxx_connection& within)
        : namedclass("idempo::transaction"),
          dbtransaction(within, true) {
        Begin();
    }
    begun_transaction(begun_transaction const&) = delete;
    begun_transaction& operator=(begun_transaction const&) = delete;
    ~begun_transaction() override {
        abort();
        End();
    }

private:
    void do_begin() override {}
    void do_commit() override {}
    void do_abort() override {}
};

/// So are SAVEPOINT, and RELEASE or ROLLBACK TO.
class begun_subtransaction : public pqxx::subtransaction {
public:
    explicit begun_subtransaction(pqxx::dbtransaction& within) : namedclass("idempo::rows"), subtransaction(within) {}
    begun_subtransaction(begun_subtransaction const&) = delete;
    begun_subtransaction& operator=(begun_subtransaction const&) = delete;
    ~begun_subtransaction() override { close(); }

    std::string close() noexcept {
        auto const was_aborted = is_aborted_;
        try {
            abort();
        } catch (std::exception const&) {  // the handler has committed it
        }
        return was_aborted ? std::string(sqlstate::in_failed_transaction) : std::string();
    }

private:
    void do_begin() override {}
    void do_commit() override {}
    void do_abort() override { is_aborted_ = true; }

    bool is_aborted_ = false;
};

class handler_transaction::objects {
public:
    explicit objects(pqxx_connection& within) : transaction_(within), rows_(transaction_) {}

    pqxx::subtransaction& rows() noexcept { return rows_; }
    std::string close() noexcept { return rows_.close(); }

private:
    begun_transaction transaction_;
    begun_subtransaction rows_;
};

std::shared_ptr<pqxx_connection> adopt(libpq_connection made) {
    adopting_policy::made = std::move(made);
    return std::make_shared<pqxx::basic_connection_base<adopting_policy>>(std::string());
}

#else

/// BEGIN and COMMIT are sent without libpqxx.
class begun_transaction : public pqxx::dbtransaction {
public:
    explicit begun_transaction(pqxx_connection& within) : dbtransaction(within, "idempo") { register_transaction(); }
    begun_transaction(begun_transaction const&) = delete;
    begun_transaction& operator=(begun_transaction const&) = delete;
    ~begun_transaction() override { close(); }

private:
#if PQXX_VERSION_MAJOR < 8
    void do_commit() override {}
    void do_abort() override {}
#else
    void do_commit(pqxx::sl) override {}
    void do_abort(pqxx::sl) override {}
#endif
};

class handler_transaction::objects {
public:
    explicit objects(pqxx_connection& within) : connection_(within), transaction_(within), rows_(transaction_) {}

    pqxx::subtransaction& rows() noexcept { return rows_; }

    std::string close() noexcept {
        std::string failed_by(sqlstate::in_failed_transaction);
        try {
            rows_.commit();
            return {};
        } catch (pqxx::sql_error const& failure) {
            if (sqlstate::is_about_end(failure.sqlstate())) failed_by = failure.sqlstate();
        } catch (std::exception const&) {  // the handler has aborted it
        }
        return connection_.is_open() ? failed_by : std::string();
    }

private:
    pqxx_connection& connection_;
    begun_transaction transaction_;
    pqxx::subtransaction rows_;
};

std::shared_ptr<pqxx_connection> adopt(libpq_connection made) {
    return std::make_shared<pqxx::connection>(pqxx::connection::seize_raw_connection(made.release()));
}

#endif

handler_transaction::handler_transaction(pqxx_connection& within) : objects_(std::make_unique<objects>(within)) {}
handler_transaction::~handler_transaction() = default;

pqxx::subtransaction& handler_transaction::rows() noexcept { return objects_->rows(); }
std::string handler_transaction::close() noexcept { return objects_->close(); }

}  // namespace idempo::postgres
