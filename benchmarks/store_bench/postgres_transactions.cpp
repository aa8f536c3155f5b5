// SPDX-License-Identifier: MIT

// What the transactional mode adds to a transaction: a request whose handler changes one row, beside the same change in
// a transaction alone, in turns. docs/benchmarks.md has the results and the command. It makes and drops the tables
// `idempo_bench` and `idempo_bench_counters`.

#include "store_bench/benches.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/transaction/transactional.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <pqxx/connection>
#include <pqxx/nontransaction>
#include <pqxx/subtransaction>
#include <pqxx/transaction>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace http = boost::beast::http;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// Each thread has a row of its own: nobody waits for a lock.
std::string change_of(std::size_t thread) {
    return "UPDATE idempo_bench_counters SET value = value + 1 WHERE id = " + std::to_string(thread);
}

/// Calls a second of so many threads that call so often each.
template <class Call>
double per_second(std::size_t threads, std::size_t calls, Call call) {
    auto const start = clock_type::now();
    {
        std::vector<std::jthread> running;
        for (std::size_t thread = 0; thread < threads; ++thread) {
            running.emplace_back([&, thread] {
                for (std::size_t number = 0; number < calls; ++number) call(thread, number);
            });
        }
    }
    return static_cast<double>(threads * calls) / std::chrono::duration<double>(clock_type::now() - start).count();
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

}  // namespace

void bench_transactions(std::string const& connection, int repetitions) {
    pqxx::connection administrator(connection);
    auto const ask = [&](char const* sql) { pqxx::nontransaction(administrator).exec(sql); };
    constexpr auto drop = "DROP TABLE IF EXISTS idempo_bench, idempo_bench_migrations, idempo_bench_counters";
    ask(drop);
    ask("CREATE TABLE idempo_bench_counters (id int PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50)");
    ask("INSERT INTO idempo_bench_counters SELECT id, 0 FROM generate_series(0, 63) AS id");

    idempo::transactional_options database;
    database.database.connection = connection;
    database.database.table = "idempo_bench";
    database.database.operation_timeout = 60s;
    idempo::migrate(database.database);
    idempo::options options;
    options.scope = idempo::scope::single_tenant();

    std::puts("  at once   requests/s  transactions/s  ratio  replays/s");
    for (std::size_t const threads : {1U, 8U}) {
        database.connections = threads;
        boost::asio::io_context context(1);
        auto const handle = idempo::transactional(context.get_executor(), database, options) |
                            [](request const& asked, pqxx::subtransaction& rows) {
                                rows.exec(asked.body());
                                response answer(http::status::created, 11);
                                answer.body() = "done";
                                answer.prepare_payload();
                                return answer;
                            };
        std::vector<std::unique_ptr<pqxx::connection>> plain;
        while (plain.size() < threads) plain.push_back(std::make_unique<pqxx::connection>(connection));

        std::size_t const calls = 4000 / threads / (threads == 1 ? 4 : 1);
        std::vector<double> ours;
        std::vector<double> theirs;
        std::vector<double> ratios;
        std::vector<double> replays;
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            auto const send = [&](std::size_t thread, std::size_t number) {
                request asked(http::verb::post, "/change", 11);
                asked.set("Idempotency-Key", std::to_string(repetition) + "-" + std::to_string(threads) + "-" +
                                                 std::to_string(thread) + "-" + std::to_string(number));
                asked.body() = change_of(thread);
                if (response(handle(std::move(asked))).result() != http::status::created) {
                    throw std::runtime_error("a request has failed");
                }
            };
            ours.push_back(per_second(threads, calls, send));
            theirs.push_back(per_second(threads, calls, [&](std::size_t thread, std::size_t) {
                pqxx::work transaction(*plain[thread]);
                transaction.exec(change_of(thread));
                transaction.commit();
            }));
            replays.push_back(per_second(threads, calls, send));
            ratios.push_back(ours.back() / theirs.back());
        }
        std::printf("%9zu  %10.0f  %14.0f  %5.2f  %9.0f\n", threads, median(ours), median(theirs), median(ratios),
                    median(replays));
        std::fflush(stdout);
    }
    ask(drop);
}
