#pragma once

#include <idempo/postgres/queue/batch.hpp>

#include <idempo/postgres/queue/record_row.hpp>

#include <idempo/identifiers.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::postgres {

namespace {

using requests = std::vector<request const*>;
using std::chrono::milliseconds;

/// So often a claim may find, when it looks why it was not granted, that it would be granted by now.
constexpr int most_rounds = 10;

std::int64_t span(milliseconds given) {
    constexpr milliseconds longest = std::chrono::years{1000};
    return std::clamp(given, milliseconds::zero(), longest).count();
}

std::string_view key_of(request const& of) { return of.key.view(); }
std::string_view token_of(request const& of) { return of.by.view(); }
std::string_view fingerprint_of(request const& of) { return of.of.view(); }
std::string_view record_of(request const& of) { return of.record.view(); }
std::int64_t lease_of(request const& of) { return span(of.lease); }
std::int64_t retention_of(request const& of) { return span(of.retention); }
std::int64_t life_of(request const& of) { return lease_of(of) + retention_of(of); }

/// Parameters for one row, or arrays for many.
template <class... Values>
binary_parameters parameters_of(requests const& batch, bool is_one, Values... values) {
    binary_parameters parameters;
    auto const add = [&](auto value) {
        if (is_one) return parameters.add(value(*batch.front()));
        std::vector<decltype(value(*batch.front()))> column;
        column.reserve(batch.size());
        for (auto const* each : batch) column.push_back(value(*each));
        parameters.add_array(column);
    };
    (add(values), ...);
    return parameters;
}

/// Writes rows; `taken(place, row)` is called for each that returns something, in the order of the batch.
template <class Taken, class... Values>
void write(connection& with, row_statement const& sql, requests const& batch, Taken taken, Values... values) {
    bool const is_one = batch.size() == 1;
    auto const result = with.execute(is_one ? sql.one : sql.many, parameters_of(batch, is_one, values...));
    std::size_t place = 0;
    for (auto const& row : result) {
        std::string_view const key = row[0].c_str();
        while (to_hex(batch.at(place)->key.view()) != key) ++place;
        taken(place++, row);
    }
}

/// The unexpired records under the keys of the batch.
std::vector<std::optional<record_row>> read(connection& with, std::string const& sql, requests const& batch) {
    auto const result = with.execute(sql, parameters_of(batch, false, key_of, token_of, fingerprint_of));
    std::vector<std::optional<record_row>> found(batch.size());
    for (auto const& row : result) {
        auto& record = found.at(row[0].as<std::size_t>() - 1).emplace();
        record.is_own_token = row[1].as<bool>();
        record.is_same_fingerprint = row[2].as<bool>();
        record.attempt = row[3].as<unsigned>();
        record.lease_remaining = std::chrono::microseconds(row[4].as<std::int64_t>());
        record.is_completed = row[5].as<bool>();
        if (!row[6].is_null()) record.record = decode_hex({row[6].c_str(), row[6].size()});
    }
    return found;
}

using places = std::vector<std::size_t>;

requests those_at(places const& wanted, requests const& batch) {
    requests chosen;
    chosen.reserve(wanted.size());
    for (auto const place : wanted) chosen.push_back(batch[place]);
    return chosen;
}

/// The first of each key: a statement cannot write to a row twice.
places without_rivals(places of, requests const& batch) {
    auto const rivals =
        std::ranges::unique(of, {}, [&](std::size_t place) -> auto const& { return batch[place]->key; });
    of.erase(rivals.begin(), rivals.end());
    return of;
}

/// Writes, and reads why where nothing was written, until each has its answer. Where a record is expected it is read
/// first: to be told that it is there takes neither a lock nor a flush of the log then, and a key under which many
/// requests come at once is one that has a record.
/// \param attempt writes requests and calls `taken(place, answer)` for those that succeeded
/// \param decide makes the answer of a request that did not, if it can
template <class Attempt, class Decide>
std::vector<outcome> until_answered(connection& with, statements const& sql, requests const& batch, Attempt attempt,
                                    Decide decide) {
    std::vector<outcome> outcomes(batch.size(), {error::store_unavailable, {}});
    auto const is_answered = [&](std::size_t place) { return !outcomes[place].error; };
    places open(batch.size());
    for (std::size_t place = 0; place < open.size(); ++place) open[place] = place;
    for (int round = 0; round < most_rounds && !open.empty(); ++round) {
        auto writing = without_rivals(open, batch);
        if (round == 0) std::erase_if(writing, [&](std::size_t place) { return batch[place]->expects_record; });
        if (!writing.empty()) {
            attempt(those_at(writing, batch), [&](std::size_t place, answer made) {
                outcomes[writing[place]] = {{}, std::move(made)};
            });
        }
        std::erase_if(open, is_answered);
        if (open.empty()) break;
        auto const found = read(with, sql.read, those_at(open, batch));
        for (std::size_t place = 0; place < open.size(); ++place) {
            if (auto decided = decide(found[place])) outcomes[open[place]] = {{}, std::move(*decided)};
        }
        std::erase_if(open, is_answered);
    }
    return outcomes;
}

std::vector<outcome> claim(connection& with, statements const& sql, requests const& batch, bool take_over) {
    auto const attempt = [&](requests const& asked, auto taken) {
        write(
            with, take_over ? sql.claim : sql.claim_without_takeover, asked,
            [&](std::size_t place, auto const& row) {
                taken(place, claim_result(granted{row[1].template as<unsigned>()}));
            },
            key_of, token_of, fingerprint_of, lease_of, life_of);
    };
    return until_answered(with, sql, batch, attempt,
                          [take_over](auto const& found) { return read_claim(found, take_over); });
}

std::vector<outcome> complete(connection& with, statements const& sql, requests const& batch) {
    auto const attempt = [&](requests const& asked, auto taken) {
        write(
            with, sql.complete, asked,
            [&](std::size_t place, auto const&) { taken(place, complete_result(done{})); },  //
            key_of, token_of, fingerprint_of, retention_of, record_of);
    };
    return until_answered(with, sql, batch, attempt, [](auto const& found) { return read_complete(found); });
}

std::vector<outcome> renew(connection& with, statements const& sql, requests const& batch) {
    std::vector<outcome> outcomes(batch.size(), {{}, false});
    auto const result = with.execute(sql.renew, parameters_of(batch, false, key_of, token_of, lease_of));
    for (auto const& row : result) {
        std::string_view const key = row[0].c_str();
        for (std::size_t place = 0; place < batch.size(); ++place) {
            if (to_hex(batch[place]->key.view()) == key) outcomes[place].answer = true;
        }
    }
    return outcomes;
}

std::vector<outcome> abandon(connection& with, statements const& sql, requests const& batch) {
    static_cast<void>(with.execute(sql.abandon, parameters_of(batch, false, key_of, token_of)));
    return std::vector<outcome>(batch.size());
}

std::vector<outcome> peek(connection& with, statements const& sql, requests const& one) {
    auto const result = with.execute(sql.peek, parameters_of(one, true, key_of));
    std::optional<record_info> info;
    if (!result.empty()) {
        auto const row = result[0];
        auto const remaining = [&](int column) {
            return rounded(std::chrono::microseconds(row[column].template as<std::int64_t>()));
        };
        info = record_info{row[3].is_null() ? record_state::in_flight : record_state::completed, row[0].as<unsigned>(),
                           remaining(1), remaining(2), row[3].as<std::size_t>(0)};
    }
    return {{{}, info}};
}

std::vector<outcome> forget(connection& with, statements const& sql, requests const& one) {
    auto const result = with.execute(sql.forget, parameters_of(one, true, key_of));
    return {{{}, !result.empty()}};
}

}  // namespace

std::vector<outcome> carry_out(connection& with, statements const& sql, requests const& all) {
    switch (all.front()->kind) {
    case operation_kind::claim: return claim(with, sql, all, true);
    case operation_kind::claim_without_takeover: return claim(with, sql, all, false);
    case operation_kind::complete: return complete(with, sql, all);
    case operation_kind::renew: return renew(with, sql, all);
    case operation_kind::abandon: return abandon(with, sql, all);
    case operation_kind::peek: return peek(with, sql, all);
    case operation_kind::forget: return forget(with, sql, all);
    }
    return {};
}

}  // namespace idempo::postgres
