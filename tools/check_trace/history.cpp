// SPDX-License-Identifier: MIT
#include "check_trace/history.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace check_trace {

namespace {

/// Orders that are tried before somebody gives up.
constexpr std::size_t most_positions = 500'000;
/// ... where one of them explains all.
constexpr std::size_t enough_positions = 2'000;

bool only_looks(answer how) noexcept {
    switch (how) {
    case answer::in_flight:
    case answer::mismatch:
    case answer::completed:
    case answer::expired:
    case answer::parked:
    case answer::remembered:
    case answer::lost:
    case answer::refused:
    case answer::nothing: return true;
    default: return false;
    }
}

/// Which calls are in the order so far, a bit each, and the record after them.
struct position {
    std::vector<std::uint64_t> ordered;
    record now;

    friend auto operator<=>(position const&, position const&) = default;

    [[nodiscard]] bool has(std::size_t at) const { return ((ordered[at / 64] >> (at % 64)) & 1U) != 0; }
    void add(std::size_t at) { ordered[at / 64] |= std::uint64_t{1} << (at % 64); }
};

class search {
public:
    search(std::vector<call> const& calls, std::vector<call> const& lost, assumptions const& given)
        : calls_(calls),
          lost_(lost),
          given_(given) {}

    /// Tries orders with few of the calls without an answer first.
    void run(std::vector<record> const& before, bool with_lost) {
        most_attempt_ = most_attempt(before);
        for (auto const& each : before) visit({std::vector<std::uint64_t>((calls_.size() + 63) / 64), each}, 0);
        for (strange_ = 0; strange_ < open_.size(); ++strange_) {
            auto& here = open_[strange_];
            while (!here.empty()) {
                if (seen_.size() >= (result.after.empty() ? most_positions : enough_positions)) {
                    result.is_undecided = true;
                    return;
                }
                auto next = std::move(here.back());
                here.pop_back();
                go_on(std::move(next), with_lost);
            }
        }
    }

    explanation result;

private:
    /// Each of the calls without an answer may have taken over. Without an end to it, two of them could do so for ever:
    /// an Abandon forgets when the lease before it began.
    [[nodiscard]] int most_attempt(std::vector<record> const& before) const {
        int most = 0;
        for (auto const& each : before) most = std::max(most, each.attempt);
        for (auto const& each : calls_) most = std::max(most, static_cast<int>(each.attempt));
        return most + static_cast<int>(lost_.size());
    }

    /// \param strange how much has happened that nobody was told of
    void visit(position next, std::size_t strange) {
        auto const [place, is_new] = seen_.insert(std::move(next));
        if (is_new) open_[std::min(strange, open_.size() - 1)].push_back(*place);
    }

    /// The calls that may come next: no other one that is left had ended before they began.
    std::vector<std::size_t> candidates(position const& at) {
        microseconds first_end = never;
        microseconds last_begin = always;
        last_lines_.clear();
        for (std::size_t i = 0; i < calls_.size(); ++i) {
            if (at.has(i)) {
                last_begin = std::max(last_begin, calls_[i].began);
                continue;
            }
            first_end = std::min(first_end, calls_[i].ended);
            auto& last = last_lines_.try_emplace(calls_[i].process, calls_[i].last_line).first->second;
            last = std::min(last, calls_[i].last_line);
        }
        first_end_ = first_end;
        last_begin_ = last_begin;
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < calls_.size(); ++i) {
            if (at.has(i) || calls_[i].began > later(first_end, given_.skew)) continue;
            if (calls_[i].first_line <= last_lines_[calls_[i].process]) found.push_back(i);
        }
        return found;
    }

    void go_on(position at, bool with_lost) {
        while (true) {
            auto const next = candidates(at);
            if (next.empty()) return remember(at.now);
            if (with_lost && may_end_chance(next)) apply_lost(at);
            if (look(at, next)) continue;
            if (with_lost) apply_lost(at);
            bool const goes_on = branch(at, next);
            if (!goes_on) blame(at, next);
            return;
        }
    }

    /// What may come now and changes nothing need not be tried later.
    bool look(position& at, std::vector<std::size_t> const& next) {
        bool has_looked = false;
        for (auto const i : next) {
            if (!only_looks(calls_[i].how) && !is_idle_abandon(at, i)) continue;
            after_.clear();
            follow(at.now, calls_[i], given_, after_);
            auto const same = std::find_if(after_.begin(), after_.end(), [&](record const& made) {
                return made.is == at.now.is && made.expiry == at.now.expiry && at.now.is != record::unknown_state;
            });
            if (same == after_.end()) continue;
            at.now = *same;
            at.add(i);
            has_looked = true;
        }
        return has_looked;
    }

    /// Whether the next look comes when some call can no more be executed once again that still can be now.
    bool may_end_chance(std::vector<std::size_t> const& next) const {
        auto last = last_begin_;
        for (auto const i : next) {
            if (only_looks(calls_[i].how)) last = std::max(last, calls_[i].began);
        }
        return std::any_of(lost_.begin(), lost_.end(), [&](call const& each) {
            auto const end = later(each.repeated, given_.skew);
            return each.repeated != never && end >= last_begin_ && end < last;
        });
    }

    /// An Abandon by a token that holds nothing, and will not in these calls.
    bool is_idle_abandon(position const& at, std::size_t i) const {
        if (calls_[i].what != subject::abandon || at.now.token == calls_[i].token) return false;
        if (at.now.token == 0 && at.now.is != state::absent) return false;
        auto const is_other = [&](call const& each) { return each.token == calls_[i].token && &each != &calls_[i]; };
        return std::none_of(calls_.begin(), calls_.end(), is_other) &&
               std::none_of(lost_.begin(), lost_.end(), is_other);
    }

    bool branch(position const& at, std::vector<std::size_t> const& next) {
        bool goes_on = false;
        for (auto const i : next) {
            after_.clear();
            follow(at.now, calls_[i], given_, after_);
            for (auto const& made : after_) {
                position then{at.ordered, made};
                then.add(i);
                visit(std::move(then), strange_);
                goes_on = true;
            }
        }
        return goes_on;
    }

    void apply_lost(position const& at) {
        for (auto const& each : lost_) {
            if (each.began > later(first_end_, given_.skew) || later(each.repeated, given_.skew) < last_begin_)
                continue;
            auto late = each;
            late.ended = std::min(first_end_, each.repeated);
            after_.clear();
            follow_any(at.now, late, given_, after_);
            for (auto const& made : after_) {
                if (made.attempt <= most_attempt_)
                    visit({at.ordered, made}, strange_ + (each.repeated == never ? 1 : 2));
            }
        }
    }

    void remember(record const& now) {
        if (std::find(result.after.begin(), result.after.end(), now) == result.after.end()) result.after.push_back(now);
    }

    void blame(position const& at, std::vector<std::size_t> const& next) {
        std::size_t count = 0;
        for (std::size_t i = 0; i < calls_.size(); ++i) count += at.has(i);
        if (result.first && count <= most_) return;
        most_ = count;
        auto const first = *std::min_element(next.begin(), next.end(), [&](std::size_t left, std::size_t right) {
            return calls_[left].ended < calls_[right].ended;
        });
        result.first = forbidden{calls_[first], at.now, rule_for(at.now, calls_[first], given_)};
    }

    std::vector<call> const& calls_;
    std::vector<call> const& lost_;
    assumptions const& given_;
    std::set<position> seen_;
    /// By how strange they are; the last ones together.
    std::array<std::vector<position>, 16> open_;
    std::size_t strange_ = 0;
    std::map<std::uint64_t, std::uint64_t> last_lines_;
    std::vector<record> after_;
    int most_attempt_ = 0;
    microseconds first_end_ = never;
    microseconds last_begin_ = always;
    std::size_t most_ = 0;
};

/// Most calls meet nobody.
bool explain_one(std::vector<record> const& before, call const& only, assumptions const& given, explanation& made) {
    for (auto const& each : before) follow(each, only, given, made.after);
    return !made.after.empty();
}

}  // namespace

explanation explain(std::vector<record> const& before, std::vector<call> const& calls, std::vector<call> const& lost,
                    assumptions const& given) {
    explanation simple;
    if (calls.empty()) {
        simple.after = before;
        return simple;
    }
    if (calls.size() == 1 && explain_one(before, calls.front(), given, simple)) return simple;
    search without(calls, lost, given);
    without.run(before, false);
    if (!without.result.after.empty() || lost.empty()) return std::move(without.result);
    search with(calls, lost, given);
    with.run(before, true);
    return std::move(with.result);
}

}  // namespace check_trace
