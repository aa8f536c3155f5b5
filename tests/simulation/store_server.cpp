// SPDX-License-Identifier: MIT
#include "simulation/store_server.hpp"

#include "simulation/describe.hpp"

#include <algorithm>
#include <utility>

namespace idempo::simulation {

store_server::store_server(mutant which, bool keeps_journal, chronicle& told, ground_truth& truth)
    : mutant_(which),
      keeps_journal_(keeps_journal || which == mutant::acknowledged_before_disk),
      told_(told),
      truth_(truth) {
    rebuild(0);
}

void store_server::rebuild(std::size_t entries) {
    store_ = std::make_unique<mutated_store>(mutant_, [this] { return replayed_.value_or(now()); });
    journal_.resize(std::min(journal_.size(), entries));
    for (auto const& past : journal_) {
        replayed_ = past.when;
        static_cast<void>(store_->apply(past.call, past.claimers_clock));
    }
    replayed_.reset();
}

std::optional<store_answer> store_server::apply(store_call const& call, std::uint64_t sent_at,
                                                time_point claimers_clock) {
    if (!is_up_) return std::nullopt;
    auto answer = store_->apply(call, claimers_clock);
    if (keeps_journal_) journal_.push_back({{call, answer, now()}, claimers_clock});
    told_.tell("store: ", describe(call, told_), " -> ", describe(answer));
    truth_.applied(call, answer, sent_at, now());
    return answer;
}

std::optional<store_answer> store_server::ask(store_call const& call) { return apply(call, truth_.tick(), world_now); }

void store_server::go_down() {
    told_.tell("store: goes down");
    told_.count("store outages");
    is_up_ = false;
    if (mutant_ == mutant::acknowledged_before_disk)
        rebuild(journal_.size() - std::min<std::size_t>(journal_.size(), 5));
}

void store_server::lose(std::size_t operations) {
    auto const kept = journal_.size() - std::min(operations, journal_.size());
    std::vector<store_call> calls;
    for (auto place = kept; place < journal_.size(); ++place) calls.push_back(journal_[place].call);
    told_.tell("store: loses its last ", calls.size(), " operations");
    told_.count("store losses");
    rebuild(kept);
    truth_.failed_over(calls, {journal_.begin(), journal_.end()});
}

}  // namespace idempo::simulation
