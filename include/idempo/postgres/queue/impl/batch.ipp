// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/batch.hpp>

#include <idempo/postgres/queue/page_walk.hpp>
#include <idempo/postgres/queue/record_row.hpp>

#include <idempo/identifiers.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace idempo::postgres {

namespace {

using requests = std::vector<request const*>;
using std::chrono::milliseconds;

/// So often a claim may find, when it looks why it was not granted, that it would be granted by now.
constexpr int max_rounds = 10;

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
std::int64_t remember_of(request const& of) { return span(of.remember); }
std::int64_t number_of(request const& of) { return of.number; }
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

using places = std::vector<std::size_t>;

/// A record, and who asks for it: one row serves all operations of its key.
struct met_record {
    places asking;
    std::string fencing_token;
    std::string fingerprint;
    unsigned attempt = 1;
    std::chrono::microseconds lease_remaining{};
    bool is_completed = false;
    std::size_t size = 0;
    /// Empty where it has to be fetched.
    std::optional<shared_bytes> bytes{};
    std::optional<shared_bytes> reason{};
    /// There is a mark, and no record.
    bool is_remembered = false;

    [[nodiscard]] record_row seen_by(request const& by) const {
        record_row row;
        row.is_own_fencing_token = fencing_token == by.by.view();
        row.is_same_fingerprint = fingerprint == by.of.view();
        row.recorded = fingerprint_from(fingerprint);
        row.attempt = attempt;
        row.lease_remaining = lease_remaining;
        row.is_completed = is_completed;
        if (bytes) row.record = *bytes;
        row.reason = reason;
        row.is_remembered = is_remembered;
        return row;
    }
};

met_record read_row(result const& rows, std::size_t row) {
    using column = record_columns;
    met_record met;
    met.is_remembered = rows.is_null(row, column::attempt);
    if (met.is_remembered) return met;
    met.fencing_token = rows.bytes(row, column::token);
    met.fingerprint = rows.bytes(row, column::fingerprint);
    met.attempt = static_cast<unsigned>(rows.number(row, column::attempt));
    met.lease_remaining = std::chrono::microseconds(rows.number(row, column::lease_remaining));
    met.is_completed = !rows.is_null(row, column::size);
    if (met.is_completed) met.size = static_cast<std::size_t>(rows.number(row, column::size));
    if (!rows.is_null(row, column::record)) met.bytes = shared_bytes(rows.bytes(row, column::record));
    if (!rows.is_null(row, column::reason)) met.reason = shared_bytes(rows.bytes(row, column::reason));
    return met;
}

/// One batch on its way to its answers.
class round_trips {
public:
    round_trips(connection& with, statements const& sql, requests const& batch,
                std::function<void(answered)> const& tell)
        : with_(with),
          sql_(sql),
          batch_(batch),
          tell_(tell) {
        for (std::size_t place = 0; place < batch.size(); ++place) open_.push_back(place);
    }

    void claim(claim_statement const& texts, bool take_over, bool take_parked = false) {
        auto const& text = looks_for_marks() ? texts.remembering : texts.plain;
        auto const attempt = [&] {
            auto const asked = first_of_each_key();
            auto const rows = with_.execute(text, parameters_of(those_at(asked), false, key_of, token_of,
                                                                fingerprint_of, lease_of, life_of, remember_of));
            for (std::size_t row = 0; row < rows.size(); ++row) {
                auto const place = place_of(asked, rows.bytes(row, record_columns::key));
                if (rows.is_null(row, record_columns::token)) {
                    auto const number = static_cast<unsigned>(rows.number(row, record_columns::attempt));
                    bool const has_steps = !rows.is_null(row, record_columns::record);
                    auto const steps =
                        has_steps ? shared_bytes(rows.bytes(row, record_columns::record)) : shared_bytes();
                    answer(place, claim_result(granted{number, steps}));
                } else {
                    meet(place, read_row(rows, row));
                }
            }
        };
        until_answered(
            attempt, [&](std::optional<record_row> const& found) { return read_claim(found, take_over, take_parked); });
    }

    void complete() {
        auto const attempt = [&] {
            auto const asked = open_;
            auto const chosen = those_at(asked);
            bool const is_one = chosen.size() == 1;
            auto const rows = with_.execute(
                is_one ? sql_.complete.one : sql_.complete.many,
                parameters_of(chosen, is_one, key_of, token_of, fingerprint_of, retention_of, record_of, remember_of));
            for (std::size_t row = 0; row < rows.size(); ++row) {
                answer(place_of(asked, rows.bytes(row, 0)), complete_result(done{}));
            }
            flush();
            if (!open_.empty()) read();
        };
        until_answered(attempt, [](std::optional<record_row> const& found) { return read_complete(found); });
    }

private:
    /// \param attempt answers what it can, and meets the records that are in the way of the rest
    /// \param decide makes the answer of a request that met a record, if it can
    template <class Attempt, class Decide>
    void until_answered(Attempt attempt, Decide decide) {
        for (int round = 0; round < max_rounds && !open_.empty(); ++round) {
            met_.clear();
            attempt();
            for (auto const& each : met_) {
                if (!each.bytes && each.is_completed) continue;
                answer_all(each, decide);
            }
            flush();
            fetch(decide);
        }
        for (auto const place : places(open_)) answered_.emplace_back(place, outcome{error::store_unavailable, {}});
        flush();
    }

    template <class Decide>
    void answer_all(met_record const& met, Decide decide) {
        for (auto const place : met.asking) {
            if (auto decided = decide(met.seen_by(*batch_[place]))) answer(place, std::move(*decided));
        }
    }

    /// What was too long to come with the row, a megabyte at a time, but never less than one record.
    template <class Decide>
    void fetch(Decide decide) {
        std::vector<met_record*> chunk;
        std::size_t bytes = 0;
        auto const fetch_chunk = [&] {
            if (!chunk.empty()) fetch_all(chunk);
            for (auto* const each : chunk) {
                if (each->bytes) answer_all(*each, decide);
                each->bytes.reset();
            }
            flush();
            chunk.clear();
            bytes = 0;
        };
        for (auto& each : met_) {
            if (each.bytes || !each.is_completed) continue;
            if (!is_wanted_by_anybody(each)) {
                answer_all(each, decide);
                continue;
            }
            if (!chunk.empty() && bytes + each.size > largest_statement_bytes) fetch_chunk();
            chunk.push_back(&each);
            bytes += each.size;
        }
        fetch_chunk();
    }

    /// A request with another fingerprint is refused, and needs no record.
    [[nodiscard]] bool is_wanted_by_anybody(met_record const& met) const {
        return std::ranges::any_of(met.asking,
                                   [&](std::size_t place) { return met.seen_by(*batch_[place]).is_same_fingerprint; });
    }

    void fetch_all(std::vector<met_record*> const& chunk) {
        std::vector<std::string_view> keys;
        std::vector<std::string_view> tokens;
        for (auto const* each : chunk) {
            keys.push_back(batch_[each->asking.front()]->key.view());
            tokens.emplace_back(each->fencing_token);
        }
        binary_parameters parameters;
        parameters.add_array(keys);
        parameters.add_array(tokens);
        auto const rows = with_.execute(sql_.fetch, parameters);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            auto const found = std::ranges::find(keys, rows.bytes(row, 0));
            if (found == keys.end()) continue;
            chunk[static_cast<std::size_t>(found - keys.begin())]->bytes = shared_bytes(rows.bytes(row, 1));
        }
    }

    void read() {
        auto const asked = first_of_each_key();
        auto const rows = with_.execute(sql_.read, parameters_of(those_at(asked), false, key_of));
        for (std::size_t row = 0; row < rows.size(); ++row) {
            meet(place_of(asked, rows.bytes(row, record_columns::key)), read_row(rows, row));
        }
    }

    /// Only with each other do such claims share a statement.
    [[nodiscard]] bool looks_for_marks() const noexcept { return batch_.front()->remember > milliseconds::zero(); }

    /// A statement cannot write to a row twice.
    [[nodiscard]] places first_of_each_key() const {
        places chosen;
        for (auto const place : open_) {
            if (chosen.empty() || batch_[chosen.back()]->key != batch_[place]->key) chosen.push_back(place);
        }
        return chosen;
    }

    [[nodiscard]] requests those_at(places const& wanted) const {
        requests chosen;
        chosen.reserve(wanted.size());
        for (auto const place : wanted) chosen.push_back(batch_[place]);
        return chosen;
    }

    /// \param among in the order of their keys
    [[nodiscard]] std::size_t place_of(places const& among, std::string_view key) const {
        auto const found =
            std::ranges::lower_bound(among, key, {}, [&](std::size_t place) { return batch_[place]->key.view(); });
        if (found == among.end() || batch_[*found]->key.view() != key) throw statement_failure({}, true);
        return *found;
    }

    void meet(std::size_t first, met_record met) {
        for (auto const place : open_) {
            if (batch_[place]->key == batch_[first]->key) met.asking.push_back(place);
        }
        met_.push_back(std::move(met));
    }

    void answer(std::size_t place, postgres::answer made) {
        answered_.emplace_back(place, outcome{{}, std::move(made)});
    }

    /// Tells what is known.
    void flush() {
        if (answered_.empty()) return;
        std::erase_if(open_, [&](std::size_t place) {
            return std::ranges::find(answered_, place, &answered::value_type::first) != answered_.end();
        });
        tell_(std::exchange(answered_, {}));
    }

    connection& with_;
    statements const& sql_;
    requests const& batch_;
    std::function<void(answered)> const& tell_;
    places open_;
    std::vector<met_record> met_;
    answered answered_;
};

answered renew(connection& with, statements const& sql, requests const& batch) {
    answered told;
    for (std::size_t place = 0; place < batch.size(); ++place) told.emplace_back(place, outcome{{}, false});
    auto const rows = with.execute(sql.renew, parameters_of(batch, false, key_of, token_of, lease_of));
    for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::size_t place = 0; place < batch.size(); ++place) {
            if (batch[place]->key.view() == rows.bytes(row, 0)) told[place].second.answer = true;
        }
    }
    return told;
}

answered abandon(connection& with, statements const& sql, requests const& batch) {
    static_cast<void>(with.execute(sql.abandon, parameters_of(batch, false, key_of, token_of)));
    answered told;
    for (std::size_t place = 0; place < batch.size(); ++place) told.emplace_back(place, outcome{});
    return told;
}

/// What `peek` and `list` have in common.
record_info read_info(result const& rows, std::size_t row) {
    auto const remaining = [&](int column) { return rounded(std::chrono::microseconds(rows.number(row, column))); };
    bool const is_in_flight = rows.is_null(row, 3);
    auto const open = rows.flag(row, 6) ? record_state::parked : record_state::in_flight;
    record_info info;
    info.state = is_in_flight ? open : record_state::completed;
    info.attempt = static_cast<unsigned>(rows.number(row, 0));
    info.lease_remaining = remaining(1);
    info.expires_in = remaining(2);
    if (!is_in_flight) info.record_bytes = static_cast<std::size_t>(rows.number(row, 3));
    info.steps_bytes = static_cast<std::size_t>(rows.number(row, 4));
    if (!rows.is_null(row, 5)) info.reason = rows.bytes(row, 5);
    if (!rows.is_null(row, 7)) info.age = remaining(7);
    return info;
}

answered peek(connection& with, statements const& sql, requests const& one) {
    constexpr int is_mark = 8;
    auto const rows = with.execute(sql.peek, parameters_of(one, true, key_of));
    std::optional<record_info> info;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (info && rows.flag(row, is_mark)) continue;
        info = read_info(rows, row);
        if (rows.flag(row, is_mark)) info->state = record_state::remembered;
    }
    answered told;
    told.emplace_back(0, outcome{{}, info});
    return told;
}

/// As the statements count them; -1 for all of them.
std::int64_t state_of(list_request const& wanted) {
    return wanted.state ? static_cast<std::int64_t>(*wanted.state) : -1;
}

listed_record read_listed(result const& rows, std::size_t row) {
    auto const key = idempo::detail::key_from_hex(to_hex(rows.bytes(row, 8)));
    if (!key) throw statement_failure({}, true);
    return {*key, read_info(rows, row)};
}

/// The rows come in the order of their keys: those that begin with the same digits are side by side.
record_page list_by_key(connection& with, statements const& sql, request const& asked) {
    binary_parameters parameters;
    parameters.add(asked.key.view());
    parameters.add(asked.number);
    parameters.add(state_of(asked.wanted));
    auto const rows = with.execute(sql.list, parameters);
    record_page page;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        auto listed = read_listed(rows, row);
        auto const digits = to_hex(listed.key.view());
        if (!digits.starts_with(asked.wanted.digits)) break;
        bool const is_match = rows.flag(row, 9) && idempo::detail::is_asked_for(asked.wanted, listed.key, listed.info);
        if (is_match) page.records.push_back(std::move(listed));
        if (rows.flag(row, 10)) page.next = digits;
    }
    return page;
}

/// The rows come as they lie on the disk, and the last one has no key: it tells how many pages there are.
record_page list_pages(connection& with, statements const& sql, request const& asked) {
    auto const end = *asked.page + pages_listed(asked.wanted);
    binary_parameters parameters;
    parameters.add(first_place_in(*asked.page));
    parameters.add(first_place_in(end));
    parameters.add(state_of(asked.wanted));
    parameters.add(std::int64_t{asked.wanted.least_attempt});
    parameters.add(std::int64_t{asked.wanted.lease_ended ? 1 : 0});
    parameters.add(asked.wanted.older_than ? span(*asked.wanted.older_than) : -1);
    auto const rows = with.execute(sql.list_pages, parameters);
    record_page page;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!rows.is_null(row, 8)) {
            page.records.push_back(read_listed(rows, row));
        } else if (end < rows.number(row, 1)) {
            page.next = write_page_cursor(end);
        }
    }
    return page;
}

answered list(connection& with, statements const& sql, request const& asked) {
    answered told;
    bool const by_page = asked.page && with.reads_pages();
    auto page = by_page ? list_pages(with, sql, asked) : list_by_key(with, sql, asked);
    told.emplace_back(0, outcome{{}, std::move(page)});
    return told;
}

/// A statement of one row that answers whether it has found it.
answered find_one(connection& with, std::string const& text, binary_parameters const& parameters) {
    bool const was_there = with.execute(text, parameters).has_rows();
    answered told;
    told.emplace_back(0, outcome{{}, was_there});
    return told;
}

}  // namespace

void carry_out(connection& with, statements const& sql, std::vector<request const*> const& all,
               std::function<void(answered)> const& tell) {
    round_trips trips(with, sql, all, tell);
    switch (all.front()->kind) {
    case operation_kind::claim:
    case operation_kind::claim_remembering: return trips.claim(sql.claim, true);
    case operation_kind::claim_without_takeover:
    case operation_kind::claim_without_takeover_remembering: return trips.claim(sql.claim_without_takeover, false);
    case operation_kind::claim_parked:
    case operation_kind::claim_parked_remembering: return trips.claim(sql.claim_parked, true, true);
    case operation_kind::complete: return trips.complete();
    case operation_kind::renew: return tell(renew(with, sql, all));
    case operation_kind::save_step:
        return tell(find_one(with, sql.save_step, parameters_of(all, true, key_of, token_of, number_of, record_of)));
    case operation_kind::park:
        return tell(
            find_one(with, sql.park,
                     parameters_of(all, true, key_of, token_of, fingerprint_of, retention_of, record_of, remember_of)));
    case operation_kind::settle:
        return tell(find_one(with, sql.settle, parameters_of(all, true, key_of, number_of, retention_of, record_of)));
    case operation_kind::free:
        return tell(find_one(with, sql.free, parameters_of(all, true, key_of, number_of, retention_of)));
    case operation_kind::abandon: return tell(abandon(with, sql, all));
    case operation_kind::peek: return tell(peek(with, sql, all));
    case operation_kind::list: return tell(list(with, sql, *all.front()));
    case operation_kind::forget: return tell(find_one(with, sql.forget, parameters_of(all, true, key_of)));
    }
}

}  // namespace idempo::postgres
