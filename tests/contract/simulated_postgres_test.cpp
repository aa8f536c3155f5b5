// SPDX-License-Identifier: MIT
#include "simulation/postgres/statement.hpp"
#include "support/catch.hpp"
#include "support/postgres_server.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/queue/sweeper.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

namespace {

using simulation::mutant;
using simulation::postgres_field;
using simulation::postgres_fields;
using simulation::postgres_row;
using simulation::postgres_tables;
using simulation::postgres_time;
using simulation::statement_run;
using std::chrono::milliseconds;
using kind = simulation::statement_kind;

constexpr std::int64_t minute = 60'000'000;

/// What the two servers do not have in common.
struct difference : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void differ(Parts const&... parts) {
    std::ostringstream words;
    (words << ... << parts);
    throw difference(words.str());
}

/// All spans are whole hours or none, and time goes on by half hours: so it does not matter that the two servers read
/// their clocks a moment apart.
constexpr std::array<std::int64_t, 4> spans{0, 3'600'000, 2 * 3'600'000, 10 * 3'600'000};

bool is_near(postgres_time left, postgres_time right) { return std::abs(left - right) < minute; }

struct column_times {
    kind of;
    std::vector<std::size_t> columns;
};

/// Columns that count from now.
std::vector<std::size_t> spans_in(kind of) {
    if (is_claim(of) || of == kind::read) return {4};
    if (of == kind::peek) return {1, 2};
    return {};
}

/// A real server and a simulated one, with the same statements, parameters and times.
class two_servers {
public:
    explicit two_servers(mutant bug = mutant::none) : bug_(bug) {
        std::string why;
        std::atomic<bool> const never{false};
        postgres::connector to(real_.connection(), std::chrono::seconds{10});
        auto made = to.connect(never, why);
        if (!made) throw std::runtime_error(why);
        connection_.emplace(std::move(made), guard_, std::chrono::seconds{60});
    }

    [[nodiscard]] postgres::statements const& sql() const { return sql_; }
    [[nodiscard]] postgres_tables const& tables() const { return tables_; }
    [[nodiscard]] postgres_time now() const {
        using std::chrono::microseconds;
        auto const since = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<microseconds>(since).count() + ahead_;
    }

    /// The same statement to both.
    statement_run execute(kind of, std::string const& text, postgres::binary_parameters const& parameters) {
        auto const real = connection_->execute(text, parameters);
        statement_run run(of, parameters.values(), bug_);
        simulate(run);
        compare(of, real, run.answer(tables_));
        compare_tables();
        return run;
    }

    /// A whole walk through both tables.
    std::size_t sweep() {
        postgres::sweeper const fresh(table);
        auto walker = fresh;
        std::size_t deleted = 0;
        while (true) {
            auto const slice = walker.sweep(*connection_);
            deleted += slice.deleted;
            if (slice.was_last) break;
        }
        std::size_t simulated = 0;
        for (auto const of : {kind::sweep_records, kind::sweep_marks}) {
            statement_run run(of, {std::string(6, '\0'), std::string(6, '\0')}, bug_);
            simulate(run);
            simulated += static_cast<std::size_t>(simulation::read_int(*run.answer(tables_).at(0).at(0)));
        }
        if (deleted != simulated) differ("swept ", deleted, " rows, and ", simulated);
        compare_tables();
        return deleted;
    }

    void let_time_pass(std::int64_t span) {
        ahead_ += span;
        auto const by = " - '" + std::to_string(span) + " microseconds'::interval";
        run("UPDATE idempo_records SET lease_until = lease_until" + by + ", expires_at = expires_at" + by);
        run("UPDATE idempo_records_marks SET until = until" + by);
    }

private:
    static constexpr auto table = "\"public\".\"idempo_records\"";

    postgres::result run(std::string const& text) { return connection_->execute(text, {}); }

    void simulate(statement_run& run) {
        run.look(tables_, now(), [](std::string const&) { return false; });
        for (std::size_t row = 0; row < run.rows().size(); ++row) {
            if (!run.rows()[row].is_wanted) continue;
            run.begin_row(row, now());
            run.write_row(row, tables_, now());
        }
        run.apply_to(tables_);
    }

    static postgres_field field_of(postgres::result const& of, std::size_t row, std::size_t column) {
        auto const at = static_cast<int>(column);
        if (of.is_null(row, at)) return std::nullopt;
        return std::string(of.bytes(row, at));
    }

    /// Rows come in any order.
    static void compare(kind of, postgres::result const& real, std::vector<postgres_fields> simulated) {
        if (real.size() != simulated.size()) differ(real.size(), " rows, and ", simulated.size());
        std::vector<postgres_fields> found;
        for (std::size_t row = 0; row < real.size(); ++row) {
            postgres_fields fields;
            for (std::size_t column = 0; column < simulated.front().size(); ++column)
                fields.push_back(field_of(real, row, column));
            found.push_back(std::move(fields));
        }
        std::ranges::sort(found);
        std::ranges::sort(simulated);
        auto const times = spans_in(of);
        for (std::size_t row = 0; row < found.size(); ++row) {
            for (std::size_t column = 0; column < found[row].size(); ++column) {
                auto const& left = found[row][column];
                auto const& right = simulated[row][column];
                bool const is_time = std::ranges::find(times, column) != times.end() && left && right;
                bool const is_same =
                    is_time ? is_near(simulation::read_int(*left), simulation::read_int(*right)) : left == right;
                if (is_same) continue;
                differ("row ", row, ", column ", column, ": ", left ? to_hex(*left) : "null", ", and ",
                       right ? to_hex(*right) : "null");
            }
        }
    }

    /// By the simulated server's clock.
    [[nodiscard]] std::optional<postgres_time> time_of(postgres::result const& of, std::size_t row, int column) const {
        if (of.is_null(row, column)) return std::nullopt;
        return of.number(row, column) + ahead_;
    }

    void compare_tables() {
        auto const real =
            run("SELECT key, token, fingerprint, attempt, "
                "(extract(epoch FROM lease_until) * 1000000)::int8, "
                "CASE WHEN expires_at > '-infinity' THEN (extract(epoch FROM expires_at) * 1000000)::int8 END, "
                "response, steps, parked, remember FROM idempo_records ORDER BY key");
        if (real.size() != tables_.records.size()) differ(real.size(), " records, and ", tables_.records.size());
        std::size_t row = 0;
        for (auto const& [key, record] : tables_.records) {
            postgres_fields const fields{
                record.key,
                record.token,
                record.fingerprint,
                simulation::write_int4(record.attempt),
                std::nullopt,
                std::nullopt,
                record.response,
                record.steps,
                record.parked,
                record.remember ? postgres_field(simulation::write_int8(*record.remember)) : std::nullopt};
            for (std::size_t column = 0; column < fields.size(); ++column) {
                bool const is_time = column == 4 || column == 5;
                if (!is_time && field_of(real, row, column) != fields[column])
                    differ("record ", row, ", column ", column);
            }
            auto const life = time_of(real, row, 5);
            if (!is_near(*time_of(real, row, 4), record.lease_until)) differ("record ", row, ": another lease");
            bool const is_same_life =
                life ? is_near(*life, record.expires_at) : record.expires_at == simulation::minus_infinity;
            if (!is_same_life) differ("record ", row, ": another life");
            ++row;
        }
        compare_marks();
    }

    void compare_marks() {
        auto const real = run("SELECT key_prefix, (extract(epoch FROM until) * 1000000)::int8 FROM "
                              "idempo_records_marks ORDER BY key_prefix");
        if (real.size() != tables_.marks.size()) differ(real.size(), " marks, and ", tables_.marks.size());
        std::size_t row = 0;
        for (auto const& [prefix, until] : tables_.marks) {
            if (field_of(real, row, 0) != prefix || !is_near(*time_of(real, row, 1), until)) differ("mark ", row);
            ++row;
        }
    }

    postgres_server real_;
    postgres::socket_guard guard_;
    std::optional<postgres::connection> connection_;
    postgres::statements sql_{table, std::chrono::seconds{10}};
    mutant bug_;
    postgres_tables tables_;
    std::int64_t ahead_ = 0;
};

using answer_name = std::pair<std::string, std::string>;

class random_operations {
public:
    random_operations(two_servers& servers, unsigned seed) : servers_(servers), random_(seed) {
        for (char name = 'a'; name < 'f'; ++name) keys_.emplace_back(sizeof(store_key), name);
    }

    void step() {
        switch (between(0, 19)) {
        case 0: return servers_.let_time_pass(30 * minute * between(1, 5));
        case 1: return met("sweep", servers_.sweep() > 0 ? "deleted" : "nothing");
        case 2: return peek();
        case 3: return read();
        case 4: return fetch();
        case 5: return forget();
        case 6:
        case 7: return save_step();
        case 8:
        case 9: return park();
        case 10: return settle();
        case 11: return abandon();
        case 12: return renew();
        case 13:
        case 14:
        case 15: return complete();
        default: return claim();
        }
    }

    [[nodiscard]] std::map<answer_name, int> const& all_met() const { return met_; }

private:
    using parameters = postgres::binary_parameters;

    int between(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    template <class Values>
    auto one_of(Values const& values) {
        return values[static_cast<std::size_t>(between(0, static_cast<int>(values.size()) - 1))];
    }
    void met(std::string const& what, std::string const& answer) { ++met_[{what, answer}]; }

    /// One that the record has, most of the time, so that calls meet their own.
    std::string token_for(std::string const& key) {
        auto const* const record = servers_.tables().find(key);
        if (record != nullptr && !record->token.empty() && between(0, 2) > 0) return record->token;
        return std::string(sizeof(fencing_token), static_cast<char>('0' + between(0, 3)));
    }
    std::string print() { return std::string(sizeof(fingerprint), between(0, 5) > 0 ? 'F' : 'G'); }
    std::string bytes() {
        return std::string(between(0, 9) == 0 ? 9000 : static_cast<std::size_t>(between(0, 20)), 'r');
    }
    std::int64_t span() { return one_of(spans); }
    std::int64_t mark_span() { return between(0, 2) == 0 ? spans[3] : 0; }

    /// Some keys, in their order.
    std::vector<std::string> some_keys() {
        std::vector<std::string> chosen;
        for (auto const& key : keys_) {
            if (between(0, 2) == 0) chosen.push_back(key);
        }
        if (chosen.empty()) chosen.push_back(one_of(keys_));
        return chosen;
    }

    template <class Make>
    static auto column(std::vector<std::string> const& keys, Make make) {
        std::vector<decltype(make(keys.front()))> made;
        for (auto const& key : keys) made.push_back(make(key));
        return made;
    }
    static void add_texts(parameters& to, std::vector<std::string> const& texts) {
        to.add_array(std::vector<std::string_view>(texts.begin(), texts.end()));
    }

    void claim() {
        bool const looks_for_marks = between(0, 1) == 0;
        auto const& sql = servers_.sql();
        struct form {
            postgres::claim_statement const* text;
            kind plain;
        };
        std::array<form, 3> const forms{form{&sql.claim, kind::claim},
                                        form{&sql.claim_without_takeover, kind::claim_without_takeover},
                                        form{&sql.claim_parked, kind::claim_parked}};
        auto const chosen = one_of(forms);
        auto const keys = some_keys();
        auto const leases = column(keys, [&](auto const&) { return span(); });
        auto lives = leases;
        for (auto& each : lives) each += span();
        parameters given;
        add_texts(given, keys);
        add_texts(given, column(keys, [&](auto const& key) { return token_for(key); }));
        add_texts(given, column(keys, [&](auto const&) { return print(); }));
        given.add_array(leases);
        given.add_array(lives);
        given.add_array(column(keys, [&](auto const&) { return looks_for_marks ? spans[3] : mark_span(); }));
        auto const of = static_cast<kind>(static_cast<int>(chosen.plain) + (looks_for_marks ? 1 : 0));
        auto const run = servers_.execute(of, looks_for_marks ? chosen.text->remembering : chosen.text->plain, given);
        for (auto const& row : run.rows()) met("claim", answer_to_claim(row));
    }

    static std::string answer_to_claim(statement_run::row_run const& row) {
        if (row.has_mark) return "remembered";
        if (row.is_met) {
            auto const& found = *row.found;
            if (found.fingerprint != row.asked.fingerprint) return "mismatch";
            if (found.response) return found.response->size() > 8192 ? "completed, large" : "completed";
            if (found.is_over(row.looked_at)) return found.parked ? "parked" : "expired";
            return "in flight";
        }
        if (!row.written) return "nothing";
        if (row.written->steps) return "granted with steps";
        return row.written->attempt > 1 ? "granted again" : "granted";
    }

    void complete() {
        bool const is_one = between(0, 1) == 0;
        auto const keys = is_one ? std::vector<std::string>{one_of(keys_)} : some_keys();
        parameters given;
        if (is_one) {
            given.add(keys.front());
            given.add(token_for(keys.front()));
            given.add(print());
            given.add(span());
            given.add(bytes());
            given.add(mark_span());
        } else {
            add_texts(given, keys);
            add_texts(given, column(keys, [&](auto const& key) { return token_for(key); }));
            add_texts(given, column(keys, [&](auto const&) { return print(); }));
            given.add_array(column(keys, [&](auto const&) { return span(); }));
            add_texts(given, column(keys, [&](auto const&) { return bytes(); }));
            given.add_array(column(keys, [&](auto const&) { return mark_span(); }));
        }
        auto const& text = is_one ? servers_.sql().complete.one : servers_.sql().complete.many;
        auto const run = servers_.execute(is_one ? kind::complete_one : kind::complete_many, text, given);
        for (auto const& row : run.rows())
            met(is_one ? "complete one" : "complete", row.written ? "stored" : "nothing");
    }

    void renew() {
        auto const keys = some_keys();
        parameters given;
        add_texts(given, keys);
        add_texts(given, column(keys, [&](auto const& key) { return token_for(key); }));
        given.add_array(column(keys, [&](auto const&) { return span(); }));
        auto const run = servers_.execute(kind::renew, servers_.sql().renew, given);
        for (auto const& row : run.rows()) met("renew", row.written ? "held" : "lost");
    }

    void abandon() {
        auto const keys = some_keys();
        parameters given;
        add_texts(given, keys);
        add_texts(given, column(keys, [&](auto const& key) { return token_for(key); }));
        auto const run = servers_.execute(kind::abandon, servers_.sql().abandon, given);
        for (auto const& row : run.rows()) {
            bool const is_gone = row.written && row.written->expires_at == simulation::minus_infinity;
            met("abandon", !row.written ? "nothing" : is_gone ? "gone" : "left");
        }
    }

    void save_step() {
        auto const key = one_of(keys_);
        auto const* const record = servers_.tables().find(key);
        auto const size = record != nullptr && record->steps ? static_cast<std::int64_t>(record->steps->size()) : 0;
        parameters given;
        given.add(key);
        given.add(token_for(key));
        given.add(std::max<std::int64_t>(size + between(-1, 1), 0));
        given.add("step");
        auto const run = servers_.execute(kind::save_step, servers_.sql().save_step, given);
        auto const& row = run.rows().front();
        bool const is_new = row.written && row.written->steps != row.before->steps;
        met("save_step", !row.written ? "refused" : is_new ? "kept" : "kept before");
    }

    void park() {
        auto const key = one_of(keys_);
        parameters given;
        given.add(key);
        given.add(token_for(key));
        given.add(print());
        given.add(span());
        given.add("a reason");
        given.add(mark_span());
        auto const run = servers_.execute(kind::park, servers_.sql().park, given);
        met("park", run.rows().front().written ? "parked" : "refused");
    }

    void settle() {
        bool const is_free = between(0, 1) == 0;
        auto const key = one_of(keys_);
        auto const* const record = servers_.tables().find(key);
        parameters given;
        given.add(key);
        given.add(std::int64_t{record != nullptr && between(0, 3) > 0 ? record->attempt : between(0, 3)});
        given.add(span());
        if (!is_free) given.add(bytes());
        auto const run = servers_.execute(is_free ? kind::free : kind::settle,
                                          is_free ? servers_.sql().free : servers_.sql().settle, given);
        met(is_free ? "free" : "settle", run.rows().front().written ? "settled" : "refused");
    }

    void read() {
        auto const keys = some_keys();
        parameters given;
        add_texts(given, keys);
        auto const run = servers_.execute(kind::read, servers_.sql().read, given);
        for (auto const& row : run.rows()) met("read", row.found ? "found" : "nothing");
    }

    void fetch() {
        auto const keys = some_keys();
        parameters given;
        add_texts(given, keys);
        add_texts(given, column(keys, [&](auto const& key) { return token_for(key); }));
        auto const run = servers_.execute(kind::fetch, servers_.sql().fetch, given);
        for (auto const& row : run.rows()) met("fetch", row.found ? "found" : "nothing");
    }

    void peek() {
        parameters given;
        given.add(one_of(keys_));
        auto const run = servers_.execute(kind::peek, servers_.sql().peek, given);
        auto const rows = run.answer(servers_.tables());
        bool const is_mark = !rows.empty() && !run.rows().front().found;
        met("peek", rows.empty() ? "nothing" : is_mark ? "mark" : "record");
    }

    void forget() {
        parameters given;
        given.add(one_of(keys_));
        auto const run = servers_.execute(kind::forget, servers_.sql().forget, given);
        met("forget", run.answer(servers_.tables()).empty() ? "nothing" : "forgotten");
    }

    two_servers& servers_;
    std::mt19937 random_;
    std::vector<std::string> keys_;
    std::map<answer_name, int> met_;
};

std::set<answer_name> const all_answers{
    {"abandon", "gone"},
    {"abandon", "left"},
    {"abandon", "nothing"},
    {"claim", "completed"},
    {"claim", "completed, large"},
    {"claim", "expired"},
    {"claim", "granted"},
    {"claim", "granted again"},
    {"claim", "granted with steps"},
    {"claim", "in flight"},
    {"claim", "mismatch"},
    {"claim", "parked"},
    {"claim", "remembered"},
    {"complete", "nothing"},
    {"complete", "stored"},
    {"complete one", "nothing"},
    {"complete one", "stored"},
    {"fetch", "found"},
    {"fetch", "nothing"},
    {"forget", "forgotten"},
    {"forget", "nothing"},
    {"free", "refused"},
    {"free", "settled"},
    {"park", "parked"},
    {"park", "refused"},
    {"peek", "mark"},
    {"peek", "nothing"},
    {"peek", "record"},
    {"read", "found"},
    {"read", "nothing"},
    {"renew", "held"},
    {"renew", "lost"},
    {"save_step", "kept"},
    {"save_step", "kept before"},
    {"save_step", "refused"},
    {"settle", "refused"},
    {"settle", "settled"},
    {"sweep", "deleted"},
    {"sweep", "nothing"},
};

}  // namespace

TEST_CASE("simulated postgresql: random operations are answered as by a real server") {
    constexpr int least = 10'000;
    constexpr int most = 100'000;
    auto const seed = std::random_device{}();
    two_servers servers;
    random_operations operations(servers, seed);
    auto const has_met_all = [&] {
        return std::ranges::all_of(all_answers, [&](auto const& each) { return operations.all_met().contains(each); });
    };
    for (int step = 0; step < least || (step < most && !has_met_all()); ++step) {
        INFO("seed " << seed << ", step " << step);
        REQUIRE_NOTHROW(operations.step());
    }
    for (auto const& each : all_answers) {
        INFO("seed " << seed << ": " << each.first << " was never answered " << each.second);
        CHECK(operations.all_met().contains(each));
    }
    for (auto const& [what, count] : operations.all_met()) {
        INFO("seed " << seed << ": " << what.first << " was answered " << what.second << ", " << count << " times");
        CHECK(all_answers.contains(what));
    }
}

TEST_CASE("simulated postgresql: each bug in a statement shows beside a real server") {
    constexpr int most = 20'000;
    auto const bug =
        GENERATE(mutant::postgres_takeover_of_live_lease, mutant::postgres_takeover_is_not_counted,
                 mutant::postgres_takeover_drops_steps, mutant::postgres_claim_ignores_fingerprint,
                 mutant::postgres_expired_record_goes_on, mutant::postgres_complete_without_fence,
                 mutant::postgres_own_answer_is_anothers, mutant::postgres_renew_without_fence,
                 mutant::postgres_renew_does_nothing, mutant::postgres_abandon_without_fence,
                 mutant::postgres_abandon_removes, mutant::postgres_step_without_fence, mutant::postgres_parked_runs,
                 mutant::postgres_forgets_used_keys, mutant::postgres_sweeper_takes_ended_leases);
    auto const seed = std::random_device{}();
    two_servers servers(bug);
    random_operations operations(servers, seed);
    INFO("seed " << seed << ", " << simulation::name_of(bug));
    auto const run = [&] {
        for (int step = 0; step < most; ++step) operations.step();
    };
    CHECK_THROWS_AS(run(), difference);
}
