// SPDX-License-Identifier: MIT

// What the transactional mode adds to a transaction: a request whose handler changes one row, beside the same change in
// a transaction alone, and beside one that inserts the record itself, in turns. docs/benchmarks.md has the results and
// the command. It makes and drops the tables `idempo_bench`, `idempo_bench_plain` and `idempo_bench_counters`.

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
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
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
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[values.size() / 2];
}

constexpr auto own_tables = ", idempo_bench_plain, idempo_bench_counters";

/// A record as long as that of the answer below.
constexpr auto plain_insert =
    "INSERT INTO idempo_bench_plain VALUES (sha256(gen_random_uuid()::text::bytea), 'sixteen bytes...', "
    "'thirty-two bytes of fingerprint.', 1, now(), now() + '1 day', repeat('x', 100)::bytea)";

using calls_per_second = std::map<std::string, std::vector<double>>;

/// Everything that takes turns, over one connection string.
class contestants {
public:
    contestants(std::string const& connection, std::size_t threads)
        : middleware_(idempo::transactional(context_.get_executor(), database_of(connection, threads), options()) |
                      function(handler)) {
        while (plain_.size() < threads) plain_.push_back(std::make_unique<pqxx::connection>(connection));
    }

    /// Of each so many calls a thread. \param prefix of the keys, new each time
    void take_turns(std::string const& prefix, std::size_t calls, calls_per_second& found) {
        auto const threads = plain_.size();
        auto const send = [&](std::size_t thread, std::size_t number) {
            request asked(http::verb::post, "/change", 11);
            asked.set("Idempotency-Key", prefix + std::to_string(thread) + "-" + std::to_string(number));
            asked.body() = change_of(thread);
            if (response(middleware_(std::move(asked))).result() != http::status::created) {
                throw std::runtime_error("a request has failed");
            }
        };
        auto const transact = [&](std::size_t thread, bool inserts) {
            pqxx::work transaction(*plain_[thread]);
            transaction.exec(change_of(thread));
            if (inserts) transaction.exec(plain_insert);
            transaction.commit();
        };
        found["requests"].push_back(per_second(threads, calls, send));
        found["bare"].push_back(per_second(threads, calls, [&](auto thread, auto) { transact(thread, false); }));
        found["plain"].push_back(per_second(threads, calls, [&](auto thread, auto) { transact(thread, true); }));
        found["replays"].push_back(per_second(threads, calls, send));
    }

private:
    using function = std::function<response(request const&, pqxx::subtransaction&)>;

    static response handler(request const& asked, pqxx::subtransaction& rows) {
        rows.exec(asked.body());
        response answer(http::status::created, 11);
        answer.body() = "done";
        answer.prepare_payload();
        return answer;
    }

    static idempo::transactional_options database_of(std::string const& connection, std::size_t threads) {
        idempo::transactional_options database;
        database.database.connection = connection;
        database.database.table = "idempo_bench";
        database.database.operation_timeout = 60s;
        database.connections = threads;
        return database;
    }

    static idempo::options options() {
        idempo::options options;
        options.scope = idempo::scope::single_tenant();
        return options;
    }

    boost::asio::io_context context_{1};
    idempo::transactional_middleware<function> middleware_;
    std::vector<std::unique_ptr<pqxx::connection>> plain_;
};

double ratio(calls_per_second const& found, std::string const& of, std::string const& to) {
    std::vector<double> each;
    for (std::size_t turn = 0; turn < found.at(of).size(); ++turn)
        each.push_back(found.at(of)[turn] / found.at(to)[turn]);
    return median(std::move(each));
}

void print(char const* through, std::size_t threads, calls_per_second const& found) {
    std::printf("%-10s  %7zu  %10.0f  %7.0f  %6.2f  %8.0f  %6.2f  %9.0f  %6.2f\n", through, threads,
                median(found.at("requests")), median(found.at("bare")), ratio(found, "requests", "bare"),
                median(found.at("plain")), ratio(found, "requests", "plain"), median(found.at("replays")),
                ratio(found, "replays", "bare"));
    std::fflush(stdout);
}

void prepare_tables(pqxx::connection& administrator, std::string const& connection) {
    auto const ask = [&](std::string const& sql) { pqxx::nontransaction(administrator).exec(sql); };
    ask(std::string("DROP TABLE IF EXISTS ") + postgres_tables + own_tables);
    ask("CREATE TABLE idempo_bench_counters (id int PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50)");
    ask("INSERT INTO idempo_bench_counters SELECT id, 0 FROM generate_series(0, 63) AS id");
    idempo::postgres_options options;
    options.connection = connection;
    options.table = "idempo_bench";
    idempo::migrate(options);
    ask("CREATE TABLE idempo_bench_plain (LIKE idempo_bench INCLUDING ALL)");
}

}  // namespace

void bench_transactions(std::string const& connection, std::string const& pooled, int repetitions) {
    pqxx::connection administrator(connection);
    prepare_tables(administrator, connection);
    std::puts("through     at once  requests/s   bare/s  ratio   plain/s   ratio  replays/s  ratio");
    for (std::size_t const threads : {1U, 8U}) {
        std::size_t const calls = threads == 1 ? 500 : 250;
        contestants direct(connection, threads);
        std::unique_ptr<contestants> through;
        if (!pooled.empty()) through = std::make_unique<contestants>(pooled, threads);
        calls_per_second found;
        calls_per_second found_through;
        for (int turn = 0; turn < repetitions; ++turn) {
            auto const prefix = std::to_string(turn) + "-" + std::to_string(threads) + "-";
            direct.take_turns("direct-" + prefix, calls, found);
            if (through) through->take_turns("pooled-" + prefix, calls, found_through);
        }
        print("-", threads, found);
        if (!through) continue;
        print("a pooler", threads, found_through);
        for (auto& [what, values] : found_through) found["pooled " + what] = std::move(values);
        std::printf("%-10s  %7zu  pooled requests to direct ones: %.2f; bare ones: %.2f\n", "", threads,
                    ratio(found, "pooled requests", "requests"), ratio(found, "pooled bare", "bare"));
    }
    pqxx::nontransaction(administrator).exec(std::string("DROP TABLE ") + postgres_tables + own_tables);
}
