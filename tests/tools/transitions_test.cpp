// SPDX-License-Identifier: MIT

// The table of the model against the memory store: every state, every operation, every caller. The model itself is held
// against the same table by `model/check`.

#include "check_trace/table.hpp"

#include "support/catch.hpp"
#include "support/manual_clock.hpp"

#include <idempo/stores/memory_store.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using namespace check_trace;
using namespace std::chrono_literals;
using idempo::error_code;
using idempo::fencing_token;

constexpr auto retention = 1h;
constexpr auto lease = 10s;
constexpr std::string_view some_bytes = "bytes";

/// What a step does, as a row says it.
struct effect {
    check_trace::answer answer;
    bits next;
    check_trace::holder holder;
    check_trace::number number;
};

/// A store with one record, and who has to do with it.
class scene {
public:
    scene(bits is, bits attempt, bool has_steps) : is_(is), has_steps_(has_steps) { make(attempt); }

    /// The operation by this caller, and what came of it. Empty where there is no such call.
    effect perform(bits operation, bits token, bits asks) {
        auto const before = peek();
        caller_ = token == caller::own ? holder_ : idempo::make_fencing_token();
        auto const answered = call(operation, asks == request::same ? first_ : second_, before);
        auto const after = peek();
        effect found{answered, state_of(after), holder::same, number_of(before, after)};
        found.holder = holder_after(found.next);
        return found;
    }

private:
    idempo::claim_request claim_of(fencing_token by, std::chrono::milliseconds length) const {
        return {.key = key_, .fingerprint = first_, .fencing_token = by, .lease = length, .retention = retention};
    }
    void claim(fencing_token by, std::chrono::milliseconds length, bool asks = false) {
        auto request = claim_of(by, length);
        request.take_parked = asks;
        REQUIRE(std::holds_alternative<idempo::granted>(store_.claim(request, error_)));
    }
    void save_step() {
        if (has_steps_) REQUIRE(store_.save_step({key_, holder_, 0, idempo::shared_bytes(some_bytes)}, error_));
    }
    void park() { REQUIRE(store_.park({key_, first_, holder_, idempo::shared_bytes(some_bytes), retention}, error_)); }

    void make(bits attempt) {
        if (is_ == state::absent) return;
        if (is_ == state::marked) return make_mark();
        if (attempt == attempts::more && is_ != state::asked) {
            claim(idempo::make_fencing_token(), 1s);
            clock_.advance(2s);
        }
        claim(holder_, lease);
        save_step();
        if (is_ == state::over) clock_.advance(2 * lease);
        if (is_ == state::done) {
            idempo::complete_request const done{key_, first_, holder_, idempo::shared_bytes(some_bytes), retention};
            REQUIRE(std::holds_alternative<idempo::done>(store_.complete(done, error_)));
        }
        if (is_ == state::free) {
            store_.abandon(key_, holder_, error_);
            holder_ = idempo::make_fencing_token();
        }
        if (is_ == state::parked || is_ == state::asked) park();
        if (is_ == state::asked) claim(holder_ = idempo::make_fencing_token(), lease, true);
    }

    void make_mark() {
        auto request = claim_of(holder_, 1s);
        request.retention = 1s;
        request.remember = retention;
        REQUIRE(std::holds_alternative<idempo::granted>(store_.claim(request, error_)));
        clock_.advance(3s);
    }

    std::optional<idempo::record_info> peek() { return store_.peek(key_, error_); }

    check_trace::answer call(bits operation, idempo::fingerprint asks, std::optional<idempo::record_info> const& seen) {
        auto const attempt = seen ? seen->attempt : 1;
        switch (operation) {
        case op::claim_over: return claim_as(asks, true, false);
        case op::claim_hold: return claim_as(asks, false, false);
        case op::claim_ask: return claim_as(asks, true, true);
        case op::complete: return complete(asks);
        case op::abandon:
        case op::abandon_steps: store_.abandon(key_, caller_, error_); return answer::ok;
        case op::renew: return store_.renew(key_, caller_, lease, error_) ? answer::held : answer::lost;
        case op::save_step:
            return kept(store_.save_step({key_, caller_, kept_bytes(seen), idempo::shared_bytes(some_bytes)}, error_));
        case op::park:
            return store_.park({key_, asks, caller_, idempo::shared_bytes(some_bytes), retention}, error_)
                       ? answer::parked
                       : answer::refused;
        case op::settle_answer: return settle(attempt, true);
        case op::settle_free:
        case op::settle_steps: return settle(attempt, false);
        case op::settle_another: return settle(attempt + 5, true);
        default: return store_.forget(key_, error_) ? answer::forgotten : answer::nothing;
        }
    }

    static std::size_t kept_bytes(std::optional<idempo::record_info> const& seen) {
        return seen ? seen->steps_bytes : 0;
    }
    static check_trace::answer kept(bool is_kept) { return is_kept ? answer::kept : answer::refused; }

    check_trace::answer claim_as(idempo::fingerprint asks, bool takes_over, bool takes_parked) {
        auto request = claim_of(caller_, lease);
        request.fingerprint = asks;
        request.take_over = takes_over;
        request.take_parked = takes_parked;
        if (is_ == state::marked) request.remember = retention;
        constexpr check_trace::answer by_index[] = {answer::in_flight, answer::mismatch, answer::completed,
                                                    answer::expired,   answer::granted,  answer::parked,
                                                    answer::remembered};
        return by_index[store_.claim(request, error_).index()];
    }
    check_trace::answer complete(idempo::fingerprint asks) {
        constexpr check_trace::answer by_index[] = {answer::in_flight, answer::mismatch, answer::completed,
                                                    answer::done};
        return by_index[store_.complete({key_, asks, caller_, idempo::shared_bytes(some_bytes), retention}, error_)
                            .index()];
    }
    check_trace::answer settle(unsigned attempt, bool gives_answer) {
        idempo::settle_request request{.key = key_, .attempt = attempt, .record = std::nullopt, .retention = retention};
        if (gives_answer) request.record = idempo::shared_bytes(some_bytes);
        return store_.settle(request, error_) ? answer::settled : answer::refused;
    }

    bits state_of(std::optional<idempo::record_info> const& seen) {
        if (!seen) return state::absent;
        if (seen->state == idempo::record_state::remembered) return state::marked;
        if (seen->state == idempo::record_state::completed) return state::done;
        if (seen->state == idempo::record_state::parked) return state::parked;
        if (seen->attempt == 0) return state::free;
        if (seen->lease_remaining <= 0ms) return state::over;
        return is_ == state::asked || is_ == state::parked ? state::asked : state::live;
    }

    /// By what the record does for a token.
    bool holds(fencing_token by, bits next) {
        if (next == state::done) {
            for (auto const& asks : {first_, second_}) {
                idempo::complete_request const again{key_, asks, by, idempo::shared_bytes(some_bytes), retention};
                if (std::holds_alternative<idempo::done>(store_.complete(again, error_))) return true;
            }
            return false;
        }
        if (next == state::parked) {
            for (auto const& asks : {first_, second_}) {
                if (store_.park({key_, asks, by, idempo::shared_bytes(some_bytes), retention}, error_)) return true;
            }
            return false;
        }
        return store_.renew(key_, by, lease, error_);
    }

    check_trace::holder holder_after(bits next) {
        if (next == state::absent || next == state::marked) return holder::nobody;
        if (caller_ != holder_ && holds(caller_, next)) return holder::caller;
        return holds(holder_, next) ? holder::same : holder::nobody;
    }

    static check_trace::number number_of(std::optional<idempo::record_info> const& before,
                                         std::optional<idempo::record_info> const& after) {
        if (!after || !before) return number::one;
        if (after->attempt == before->attempt) return number::same;
        if (after->attempt == before->attempt + 1) return number::plus;
        return after->attempt + 1 == before->attempt ? number::minus : number::none;
    }

    bits is_;
    bool has_steps_;
    idempo::tests::manual_clock clock_;
    idempo::memory_store store_{{.clock = clock_}};
    idempo::store_key key_{{1}};
    idempo::fingerprint first_{{1}};
    idempo::fingerprint second_{{2}};
    fencing_token holder_ = idempo::make_fencing_token();
    fencing_token caller_;
    error_code error_;
};

bool has_record(bits is) { return is != state::absent && is != state::marked; }

/// Who holds a record that the caller holds: the caller is the holder.
bool agrees(step const& row, effect const& found, situation const& at) {
    if (row.answer != found.answer) return false;
    bits const next = row.next == state::stays ? at.state : row.next;
    if (next != found.next) return false;
    if (!has_record(found.next)) return true;
    bool const is_own = at.token == caller::own;
    bool const was_free = row.state == state::free || at.state == state::free;
    bool const same_holder = row.holder == found.holder ||
                             (is_own && row.holder == holder::caller && found.holder == holder::same) ||
                             (was_free && row.holder == holder::same && found.holder == holder::nobody);
    bool const from_nothing = !has_record(at.state);
    bool const is_first = row.number == number::one && from_nothing;
    bool const stays_free = row.number == number::none && found.next == state::free;
    return same_holder && (row.number == found.number || is_first || stays_free);
}

struct comparison {
    std::vector<std::string> forbidden;
    std::set<std::string_view> met;
    std::size_t situations = 0;
};

std::string describe(situation const& at, effect const& found) {
    return "operation " + std::to_string(at.operation) + ", state " + std::to_string(at.state) + ", attempts " +
           std::to_string(at.attempts) + ", token " + std::to_string(at.token) + ", request " +
           std::to_string(at.request) + ": answer " + std::to_string(static_cast<int>(found.answer)) + ", next " +
           std::to_string(found.next) + ", holder " + std::to_string(static_cast<int>(found.holder)) + ", number " +
           std::to_string(static_cast<int>(found.number));
}

bool makes_sense(situation const& at, bool has_steps) {
    // To everybody else a mark is nothing.
    bool const looks_for_marks = (at.operation & op::claim) != 0 || at.operation == op::forget;
    if (at.state == state::marked && !looks_for_marks) return false;
    bool const may_have_steps = at.state == state::live || at.state == state::over || at.state == state::free ||
                                at.state == state::parked || at.state == state::asked;
    if (has_steps && !may_have_steps) return false;
    if (at.state == state::free && (!has_steps || at.attempts == attempts::more || at.token == caller::own))
        return false;
    if (at.state == state::asked && at.attempts == attempts::one) return false;
    if (!has_record(at.state) && at.attempts == attempts::more) return false;
    if (at.operation == op::settle_another && !has_record(at.state)) return false;
    if (at.operation == op::abandon_steps || at.operation == op::settle_steps) return has_steps;
    if (at.operation == op::abandon || at.operation == op::settle_free) return !has_steps;
    return true;
}

void compare(situation const& at, bool has_steps, std::span<step const> table, comparison& result) {
    if (!makes_sense(at, has_steps)) return;
    ++result.situations;
    scene tested(at.state, at.attempts, has_steps);
    auto const found = tested.perform(at.operation, at.token, at.request);
    bool is_allowed = false;
    for (auto const& row : table) {
        if (!fits(row, at) || !agrees(row, found, at)) continue;
        is_allowed = true;
        result.met.insert(row.name);
    }
    if (!is_allowed) result.forbidden.push_back(describe(at, found));
}

comparison compare_all(std::span<step const> table) {
    comparison result;
    for (bits operation = 1; operation <= op::forget; operation <<= 1U) {
        for (bits is = 1; is <= state::marked; is <<= 1U) {
            for (bits const attempt : {attempts::one, attempts::more}) {
                for (bits const token : {caller::own, caller::other}) {
                    for (bits const asks : {request::same, request::other}) {
                        for (bool const has_steps : {false, true})
                            compare({operation, is, attempt, token, asks}, has_steps, table, result);
                    }
                }
            }
        }
    }
    return result;
}

/// The memory store restarts the lease of a repeated claim.
constexpr std::string_view not_of_this_store = "claim_again_late";

}  // namespace

TEST_CASE("model: the memory store does in every state what the table says, and all that it says") {
    auto const result = compare_all(all_steps());
    for (auto const& each : result.forbidden) UNSCOPED_INFO(each);
    CHECK(result.forbidden.empty());
    CHECK(result.situations >= 500);
    for (auto const& row : all_steps()) {
        INFO(row.name);
        CHECK((result.met.count(row.name) == 1 || row.name == not_of_this_store));
    }
}

TEST_CASE("model: a table that lacks any one step, or changes it, differs from the memory store") {
    std::vector<step> const whole(all_steps().begin(), all_steps().end());
    for (std::size_t i = 0; i < whole.size(); ++i) {
        if (whole[i].name == not_of_this_store) continue;
        INFO(whole[i].name);
        auto lacking = whole;
        lacking.erase(lacking.begin() + static_cast<std::ptrdiff_t>(i));
        CHECK_FALSE(compare_all(lacking).forbidden.empty());
        auto changed = whole;
        changed[i].answer = changed[i].answer == answer::ok ? answer::lost : answer::ok;
        CHECK(compare_all(changed).met.count(whole[i].name) == 0);
    }
}
