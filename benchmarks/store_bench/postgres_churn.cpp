// SPDX-License-Identifier: MIT

// How large the table of the PostgreSQL store gets when many keys come and go: the store's own sweeper deletes, and the
// server's autovacuum gives the space back. docs/postgres.md has a result and the command.

#include "store_bench/benches.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <pqxx/connection>
#include <pqxx/nontransaction>
#include <pqxx/result>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t in_flight = 256;
constexpr std::size_t record_size = 200;
constexpr auto retention = 5s;

idempo::claim_request new_claim() {
    idempo::claim_request claim{{}, {{1}}, idempo::make_fencing_token(), 30s, retention, true};
    std::ranges::copy(idempo::make_fencing_token().bytes, claim.key.bytes.begin());
    return claim;
}

/// Claims and completes so many new keys, a number of them at a time.
class churn {
public:
    churn(idempo::postgres_store store, std::size_t keys) : store_(std::move(store)), keys_(keys) {}

    void run(boost::asio::io_context& context) {
        while (begun_ < std::min(in_flight, keys_)) begin_next();
        while (done_ < keys_) context.run_one();
    }

private:
    void begin_next() {
        ++begun_;
        auto const claim = new_claim();
        store_.async_claim(claim, [this, claim](idempo::error_code error, idempo::claim_result const&) {
            if (error) throw std::runtime_error(error.message());
            complete(claim);
        });
    }

    void complete(idempo::claim_request const& claim) {
        store_.async_complete({claim.key, claim.fingerprint, claim.fencing_token, record_, claim.retention},
                              [this](idempo::error_code error, idempo::complete_result const&) {
                                  if (error) throw std::runtime_error(error.message());
                                  ++done_;
                                  if (begun_ < keys_) begin_next();
                              });
    }

    idempo::postgres_store store_;
    std::size_t keys_;
    idempo::shared_bytes record_{std::string(record_size, 'r')};
    std::size_t begun_ = 0;
    std::size_t done_ = 0;
};

void print_sizes(pqxx::connection& server, std::size_t keys) {
    pqxx::nontransaction ask(server);
    auto const result = ask.exec("SELECT count(*), count(*) FILTER (WHERE expires_at > clock_timestamp()), "
                                 "pg_table_size('idempo_bench') / 1048576, pg_indexes_size('idempo_bench') / 1048576 "
                                 "FROM idempo_bench");
    auto const row = result[0];
    std::printf("%10zu  %10s  %10s  %8s  %8s\n", keys, row[1].c_str(), row[0].c_str(), row[2].c_str(), row[3].c_str());
    std::fflush(stdout);
}

}  // namespace

void churn_postgres(std::string const& connection, std::size_t keys) {
    pqxx::connection server(connection);
    auto const drop = [&] {
        pqxx::nontransaction(server).exec(std::string("DROP TABLE IF EXISTS ") + postgres_tables);
    };
    drop();
    idempo::postgres_options options;
    options.connection = connection;
    options.table = "idempo_bench";
    options.operation_timeout = 60s;
    options.sweep_interval = 1s;
    idempo::migrate(options);

    boost::asio::io_context context(1);
    auto const work = boost::asio::make_work_guard(context);
    idempo::postgres_store const store(context.get_executor(), options);
    std::puts("      keys       alive        rows  table MB  index MB");
    constexpr std::size_t lines = 20;
    for (std::size_t line = 1; line <= lines; ++line) {
        churn(store, std::max<std::size_t>(keys / lines, 1)).run(context);
        print_sizes(server, keys / lines * line);
    }
    drop();
}
