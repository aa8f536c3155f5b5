// SPDX-License-Identifier: MIT

// Claims, completes and replays a second of the PostgreSQL store, beside pgbench with a statement for a single row,
// interleaved in one run; and the latency of a lone claim beside the same statement through libpq.
// docs/benchmarks.md has the results and the command. It makes, empties and drops the table `idempo_bench`.
//
// With `analyze` the server gathers statistics while the table is empty, and plans with them ever after.

#include "store_bench/benches.hpp"

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <pqxx/connection>
#include <pqxx/nontransaction>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr auto table = "idempo_bench";
constexpr std::size_t clients = 32;
constexpr std::size_t record_size = 200;

/// What a careful programmer would write without a batch, a retry, or a second statement.
constexpr auto single_claim =
    R"sql(INSERT INTO idempo_bench AS record (key, token, fingerprint, attempt, lease_until, expires_at)
VALUES ({values}, 1, clock_timestamp() + interval '30 s', clock_timestamp() + interval '3630 s')
ON CONFLICT (key) DO UPDATE SET token = excluded.token, fingerprint = excluded.fingerprint, attempt = record.attempt + 1,
lease_until = excluded.lease_until, expires_at = excluded.expires_at, response = NULL
WHERE record.expires_at <= clock_timestamp() OR record.response IS NULL AND record.fingerprint = excluded.fingerprint
AND (record.token = excluded.token OR record.lease_until <= clock_timestamp()) RETURNING attempt)sql";

constexpr auto single_complete = R"sql(UPDATE idempo_bench SET response = decode(repeat('72', 200), 'hex'),
expires_at = clock_timestamp() + interval '3600 s'
WHERE key = sha256(int8send(:run::bigint * 1000000000 + :client_id * 1000000 + :i)) AND token = sha256('t') AND response IS NULL RETURNING 1)sql";

std::string filled(std::string text, std::string const& mark, std::string const& with) {
    return text.replace(text.find(mark), mark.size(), with);
}

double per_second(std::size_t count, clock_type::duration time) {
    return static_cast<double>(count) / std::chrono::duration<double>(time).count();
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

idempo::claim_request new_claim() {
    idempo::claim_request claim{{}, {{1}}, idempo::make_fencing_token(), 30s, 1h, true};
    std::ranges::copy(idempo::make_fencing_token().bytes, claim.key.bytes.begin());
    return claim;
}

std::vector<idempo::claim_request> new_claims(std::size_t count) {
    std::vector<idempo::claim_request> claims(count);
    for (auto& each : claims) each = new_claim();
    return claims;
}

class server {
public:
    server(std::string connection, std::size_t workers) : connection_(std::move(connection)), workers_(workers) {
        drop();
        idempo::migrate(options());
    }
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server() { drop(); }

    void ask(std::string const& sql) const {
        pqxx::connection to_server(connection_);
        pqxx::nontransaction(to_server).exec(sql);
    }

    void empty(bool analyze) const {
        ask(std::string("TRUNCATE ") + table);
        if (analyze) ask(std::string("ANALYZE ") + table);
    }

    [[nodiscard]] idempo::postgres_options options() const {
        idempo::postgres_options options;
        options.connection = connection_;
        options.table = table;
        options.workers = workers_;
        options.operation_timeout = 60s;
        return options;
    }

    /// Transactions a second of `clients` sessions that have the statement prepared.
    [[nodiscard]] double pgbench(std::string const& script, std::size_t transactions, std::size_t run) const {
        auto const path = std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") +
                          "/idempo-bench-" + std::to_string(::getpid()) + ".sql";
        std::ofstream(path) << "\\set i :i + 1\n" << script << ";\n";
        auto const command = "PGOPTIONS='-c synchronous_commit=on' pgbench -n -M prepared -j 2 -c " +
                             std::to_string(clients) + " -t " + std::to_string(transactions / clients) +
                             " -D i=0 -D run=" + std::to_string(run) + " -f " + path + " '" + connection_ +
                             "' 2>&1 | sed -n 's/^tps = \\([0-9.]*\\).*/\\1/p'";
        std::unique_ptr<std::FILE, int (*)(std::FILE*)> const pipe(::popen(command.c_str(), "r"), ::pclose);
        std::array<char, 100> output{};
        if (std::fgets(output.data(), output.size(), pipe.get()) == nullptr) throw std::runtime_error("pgbench failed");
        std::remove(path.c_str());
        return std::strtod(output.data(), nullptr);
    }

private:
    void drop() const { ask(std::string("DROP TABLE IF EXISTS ") + postgres_tables); }

    std::string connection_;
    std::size_t workers_;
};

/// Keeps so many operations in flight until all are answered: each answer starts the next one.
template <class Begin>
class load {
public:
    load(std::size_t operations, Begin begin) : operations_(operations), begin_(std::move(begin)) {}

    double run(boost::asio::io_context& context, std::size_t in_flight) {
        auto const start = clock_type::now();
        while (started_ < std::min(in_flight, operations_)) begin_next();
        while (answered_ < operations_) context.run_one();
        return per_second(operations_, clock_type::now() - start);
    }

private:
    void begin_next() {
        begin_(started_++, [this](idempo::error_code error, auto const& answer, bool is_expected) {
            static_cast<void>(answer);
            if (error) throw std::runtime_error(error.message());
            if (!is_expected) throw std::runtime_error("an answer that makes no sense");
            ++answered_;
            if (started_ < operations_) begin_next();
        });
    }

    std::size_t operations_;
    Begin begin_;
    std::size_t started_ = 0;
    std::size_t answered_ = 0;
};

template <class Expected>
double claims_per_second(boost::asio::io_context& context, idempo::postgres_store& store, std::size_t in_flight,
                         std::vector<idempo::claim_request> const& claims) {
    auto const begin = [&](std::size_t number, auto done) {
        store.async_claim(claims[number], [done](idempo::error_code error, idempo::claim_result const& answer) {
            done(error, answer, std::holds_alternative<Expected>(answer));
        });
    };
    return load(claims.size(), begin).run(context, in_flight);
}

double completes_per_second(boost::asio::io_context& context, idempo::postgres_store& store, std::size_t in_flight,
                            std::vector<idempo::claim_request> const& claims) {
    idempo::shared_bytes const record(std::string(record_size, 'r'));
    auto const begin = [&](std::size_t number, auto done) {
        auto const& claim = claims[number];
        store.async_complete({claim.key, claim.fingerprint, claim.fencing_token, record, 1h},
                             [done](idempo::error_code error, idempo::complete_result const& answer) {
                                 done(error, answer, std::holds_alternative<idempo::done>(answer));
                             });
    };
    return load(claims.size(), begin).run(context, in_flight);
}

struct measured {
    std::vector<double> ours;
    std::vector<double> theirs;

    [[nodiscard]] double ratio() const {
        std::vector<double> ratios(ours.size());
        std::ranges::transform(ours, theirs, ratios.begin(), std::divides<>());
        return median(ratios);
    }
};

void compare(server const& at, std::size_t in_flight, int repetitions, bool analyze) {
    measured claims;
    measured completes;
    std::vector<double> replays;
    std::size_t const operations = in_flight == 1 ? 500 : in_flight < 64 ? 10'000 : 20'000;
    std::size_t const reference_operations = 8'000;
    auto const reference_claim =
        filled(single_claim, "{values}",
               "sha256(int8send(:run::bigint * 1000000000 + :client_id * 1000000 + :i)), sha256('t'), sha256('f')");
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        at.empty(analyze);
        boost::asio::io_context context(1);
        auto const work = boost::asio::make_work_guard(context);
        idempo::postgres_store store(context.get_executor(), at.options());
        auto requests = new_claims(operations);
        auto const run = static_cast<std::size_t>(repetition) + 1;
        claims.ours.push_back(claims_per_second<idempo::granted>(context, store, in_flight, requests));
        claims.theirs.push_back(at.pgbench(reference_claim, reference_operations, run));
        completes.theirs.push_back(at.pgbench(single_complete, reference_operations, run));
        completes.ours.push_back(completes_per_second(context, store, in_flight, requests));
        for (auto& each : requests) each.fencing_token = idempo::make_fencing_token();
        replays.push_back(claims_per_second<idempo::completed>(context, store, in_flight, requests));
    }
    std::printf("%9zu  %10.0f  %10.0f  %5.2f  %10.0f  %10.0f  %5.2f  %10.0f\n", in_flight, median(claims.ours),
                median(claims.theirs), claims.ratio(), median(completes.ours), median(completes.theirs),
                completes.ratio(), median(replays));
    std::fflush(stdout);
}

double microseconds_at(std::vector<double>& sorted, double quantile) {
    return sorted[static_cast<std::size_t>(quantile * static_cast<double>(sorted.size() - 1))];
}

/// One claim at a time, ours and a plain call in turns.
void compare_latency(server const& at, bool analyze) {
    constexpr std::size_t calls = 5'000;
    at.empty(analyze);
    boost::asio::io_context context(1);
    auto const work = boost::asio::make_work_guard(context);
    idempo::postgres_store store(context.get_executor(), at.options());
    std::atomic<bool> const stop{false};
    std::string why;
    idempo::postgres::socket_guard guard;
    idempo::postgres::connection plain(idempo::postgres::connector(at.options().connection, 5s).connect(stop, why),
                                       guard, 5s);
    auto const text = filled(single_claim, "{values}", "$1::bytea, $2::bytea, $3::bytea");
    std::vector<double> ours;
    std::vector<double> theirs;
    auto const timed = [](std::vector<double>& to, auto call) {
        auto const start = clock_type::now();
        call();
        to.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - start).count());
    };
    for (std::size_t number = 0; number < calls; ++number) {
        auto const our_claim = new_claim();
        timed(ours, [&] {
            bool is_answered = false;
            store.async_claim(our_claim, [&](idempo::error_code, idempo::claim_result const&) { is_answered = true; });
            while (!is_answered) context.run_one();
        });
        auto const claim = new_claim();
        timed(theirs, [&] {
            idempo::postgres::binary_parameters parameters;
            for (auto const each : {claim.key.view(), claim.fencing_token.view(), claim.fingerprint.view()})
                parameters.add(each);
            static_cast<void>(plain.execute(text, parameters));
        });
    }
    std::ranges::sort(ours);
    std::ranges::sort(theirs);
    for (double const quantile : {0.5, 0.99}) {
        auto const own = microseconds_at(ours, quantile);
        auto const reference = microseconds_at(theirs, quantile);
        std::printf("lone claim p%.0f: %.0f us, a plain call %.0f us, ratio %.2f\n", 100 * quantile, own, reference,
                    own / reference);
    }
}

}  // namespace

void bench_postgres(std::string const& connection, postgres_load const& load, int repetitions) {
    server const at(connection, load.workers);
    std::printf("pgbench: %zu clients, prepared, one row a statement\n", clients);
    std::puts("in flight    claims/s     pgbench  ratio  completes/s   pgbench  ratio   replays/s");
    for (auto const in_flight : load.in_flight) compare(at, in_flight, repetitions, load.analyze);
    if (std::ranges::find(load.in_flight, 1U) != load.in_flight.end()) compare_latency(at, load.analyze);
}
