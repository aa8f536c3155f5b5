// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// \file
/// Linearizability: whether some sequence of the same operations explains the answers that concurrent operations of one
/// key got (Wing and Gong; Lowe), with a record that obeys the contract.

namespace idempo::testing {

/// An operation that has returned.
struct past_operation {
    enum class kind { claim, complete, abandon, renew };
    kind what = kind::claim;
    idempo::fencing_token fencing_token;
    idempo::fingerprint fingerprint;
    /// Of Complete.
    std::string bytes;
    /// Of Claim and Renew: whether the lease outlasts the history. If not, it ends when time passes, or sooner.
    bool has_long_lease = false;
    /// Of Claim.
    bool take_over = true;
    /// How many times the test has let time pass before this operation.
    unsigned phase = 0;
    /// Ticks of one clock: an operation that began after another returned comes after it.
    std::uint64_t began = 0;
    std::uint64_t returned = 0;
    /// Nothing for Abandon.
    std::variant<std::monostate, claim_result, complete_result, bool> answer;
};

/// A record as the contract describes it. Its retention outlasts the history.
struct model_record {
    enum class state { absent, in_flight, completed };
    state is = state::absent;
    idempo::fencing_token fencing_token;
    idempo::fingerprint fingerprint;
    std::string bytes;
    unsigned attempt = 0;
    bool has_long_lease = false;
    unsigned leased_in_phase = 0;

    friend auto operator<=>(model_record const&, model_record const&) = default;

    [[nodiscard]] bool held_by(idempo::fencing_token const& by) const {
        return is == state::in_flight && fencing_token == by;
    }
    /// Time is coarse here: a short lease may end in the phase in which it began.
    [[nodiscard]] bool lease_may_run(unsigned phase) const { return has_long_lease || leased_in_phase == phase; }
    [[nodiscard]] bool lease_may_have_ended() const { return !has_long_lease; }
};

/// The records that may follow `record` if `operation` gets this answer; none if it cannot get it.
using possible_records = std::vector<model_record>;

[[nodiscard]] inline model_record with_lease(model_record record, past_operation const& operation) {
    record.has_long_lease = operation.has_long_lease;
    record.leased_in_phase = operation.phase;
    return record;
}

[[nodiscard]] inline possible_records after_claim(model_record const& record, past_operation const& operation) {
    auto const& answer = std::get<claim_result>(operation.answer);
    auto const* const grant = std::get_if<granted>(&answer);
    auto const holder = [&](unsigned attempt) {
        return with_lease({model_record::state::in_flight, operation.fencing_token, operation.fingerprint, {}, attempt},
                          operation);
    };
    auto const if_possible = [&](bool possible) { return possible ? possible_records{record} : possible_records{}; };

    if (record.is == model_record::state::absent) {
        return grant && grant->attempt == 1 ? possible_records{holder(1)} : possible_records{};
    }
    if (record.fingerprint != operation.fingerprint) return if_possible(std::holds_alternative<mismatch>(answer));
    if (record.is == model_record::state::completed) {
        auto const* const replay = std::get_if<completed>(&answer);
        return if_possible(replay && replay->record.view() == record.bytes);
    }
    if (record.fencing_token == operation.fencing_token) {
        // The contract does not say whether a retried claim restarts the lease.
        if (!grant || grant->attempt != record.attempt) return {};
        return {record, with_lease(record, operation)};
    }
    if (std::holds_alternative<in_flight>(answer)) return if_possible(record.lease_may_run(operation.phase));
    if (!record.lease_may_have_ended()) return {};
    if (operation.take_over) {
        bool const took_over = grant && grant->attempt == record.attempt + 1;
        return took_over ? possible_records{holder(grant->attempt)} : possible_records{};
    }
    auto const* const ended = std::get_if<expired>(&answer);
    return if_possible(ended && ended->attempt == record.attempt);
}

[[nodiscard]] inline possible_records after_complete(model_record const& record, past_operation const& operation) {
    auto const& answer = std::get<complete_result>(operation.answer);
    auto const if_possible = [&](bool possible) { return possible ? possible_records{record} : possible_records{}; };
    bool const is_done = std::holds_alternative<done>(answer);

    if (record.is != model_record::state::absent) {
        if (record.fingerprint != operation.fingerprint) return if_possible(std::holds_alternative<mismatch>(answer));
        if (record.fencing_token != operation.fencing_token) {
            if (record.is == model_record::state::in_flight)
                return if_possible(std::holds_alternative<in_flight>(answer));
            auto const* const stored = std::get_if<completed>(&answer);
            return if_possible(stored && stored->record.view() == record.bytes);
        }
        if (record.is == model_record::state::completed) return if_possible(is_done);
    }
    model_record stored{model_record::state::completed, operation.fencing_token, operation.fingerprint, operation.bytes,
                        std::max(record.attempt, 1U)};
    return is_done ? possible_records{std::move(stored)} : possible_records{};
}

/// A takeover leaves the number of the attempt before it behind, under no fencing token and with a lease that has
/// ended.
[[nodiscard]] inline possible_records after_abandon(model_record record, bool is_held) {
    if (!is_held) return {std::move(record)};
    if (record.attempt == 1) return {model_record{}};
    record.fencing_token = {};
    record.has_long_lease = false;
    --record.attempt;
    return {model_record{}, std::move(record)};
}

[[nodiscard]] inline possible_records after(model_record const& record, past_operation const& operation) {
    bool const is_held = record.held_by(operation.fencing_token);
    switch (operation.what) {
    case past_operation::kind::claim: return after_claim(record, operation);
    case past_operation::kind::complete: return after_complete(record, operation);
    case past_operation::kind::abandon: return after_abandon(record, is_held);
    case past_operation::kind::renew: break;
    }
    if (std::get<bool>(operation.answer) != is_held) return {};
    return {is_held ? with_lease(record, operation) : record};
}

/// Whether the operation, by its answer, changes no record, wherever its place is. An Abandon changes none by a token
/// that holds nothing.
/// \param holders the tokens that may hold the record at some time
[[nodiscard]] inline bool only_looks(past_operation const& operation, std::set<idempo::fencing_token> const& holders) {
    if (operation.what == past_operation::kind::abandon) return !holders.contains(operation.fencing_token);
    if (auto const* const claim = std::get_if<claim_result>(&operation.answer))
        return !std::holds_alternative<granted>(*claim);
    if (auto const* const complete = std::get_if<complete_result>(&operation.answer))
        return !std::holds_alternative<done>(*complete);
    return !std::get<bool>(operation.answer);
}

/// By operation, as `only_looks`.
[[nodiscard]] inline std::vector<bool> which_only_look(std::set<model_record> const& before,
                                                       std::vector<past_operation> const& operations) {
    std::set<idempo::fencing_token> holders;
    for (auto const& record : before) holders.insert(record.fencing_token);
    for (auto const& operation : operations) {
        auto const* const claim = std::get_if<claim_result>(&operation.answer);
        if (claim != nullptr && std::holds_alternative<granted>(*claim)) holders.insert(operation.fencing_token);
    }
    std::vector<bool> looks;
    for (auto const& operation : operations) looks.push_back(only_looks(operation, holders));
    return looks;
}

/// The possible records after these operations, at most 64 operations, if the record before was one of `before`. None:
/// no order of the operations explains their answers.
[[nodiscard]] inline std::set<model_record> linearize(std::set<model_record> const& before,
                                                      std::vector<past_operation> const& operations) {
    using position = std::pair<std::uint64_t, model_record>;  // a bit for each operation in the order so far
    auto const looks = which_only_look(before, operations);
    std::set<position> seen;
    std::vector<position> open;
    std::set<model_record> results;
    auto const visit = [&](position next) {
        if (seen.insert(next).second) open.push_back(std::move(next));
    };
    for (auto const& record : before) visit({0, record});
    while (!open.empty()) {
        auto const [ordered, record] = std::move(open.back());
        open.pop_back();
        auto const is_ordered = [ordered = ordered](std::size_t i) { return ((ordered >> i) & 1) != 0; };
        auto first_return = std::numeric_limits<std::uint64_t>::max();
        for (std::size_t i = 0; i < operations.size(); ++i) {
            if (!is_ordered(i)) first_return = std::min(first_return, operations[i].returned);
        }
        if (first_return == std::numeric_limits<std::uint64_t>::max()) results.insert(record);
        std::vector<position> branches;
        for (std::size_t i = 0; i < operations.size(); ++i) {
            if (is_ordered(i) || operations[i].began > first_return) continue;
            auto possible = after(record, operations[i]);
            // What may come now, and changes nothing, need not be tried later.
            bool const is_enough = looks[i] && !possible.empty();
            if (is_enough) branches.clear();
            for (auto& next : possible) branches.emplace_back(ordered | std::uint64_t{1} << i, std::move(next));
            if (is_enough) break;
        }
        for (auto& next : branches) visit(std::move(next));
    }
    return results;
}

}  // namespace idempo::testing
