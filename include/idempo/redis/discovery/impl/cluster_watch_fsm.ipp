// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/cluster_watch_fsm.hpp>

#include <algorithm>

namespace idempo::redis {

namespace {

/// For so long a node that was silent is asked after the others.
constexpr auto lately = 4 * detail::backoff::longest;

bool contains(std::vector<redis_endpoint> const& all, redis_endpoint const& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

void cluster_watch_fsm::start(time_point now) { ask_soon(now); }

void cluster_watch_fsm::on_doubt(redis_endpoint const& node, time_point now) {
    remember_silence(node, now);
    extend_search(now);
    ask_soon(now);
}

void cluster_watch_fsm::on_moved(redis_endpoint const& node, time_point now) {
    first_ = node;
    ask_soon(now);
}

void cluster_watch_fsm::on_gap(time_point now) {
    extend_search(now);
    ask_soon(now);
}

void cluster_watch_fsm::on_wanted(time_point now) {
    if (state_ == state::ended) return;
    known_ ? serve() : ask_soon(now);
}

void cluster_watch_fsm::ask_soon(time_point now) {
    asks_again_ = true;
    if (state_ != state::idle) return;
    if (now > not_before_ + detail::backoff::longest) backoff_.reset();
    not_before_ = std::max(not_before_, now);
    state_ = state::pausing;
}

void cluster_watch_fsm::on_time(time_point now) {
    if (state_ == state::pausing && not_before_ <= now) begin_question(now);
}

void cluster_watch_fsm::begin_question(time_point now) {
    asks_again_ = false;
    best_.reset();
    state_ = state::asking;
    asked_ = whom_to_ask(now);
    act(ask{asked_});
}

// The one that is said to know, then the others in turn, and those last that have said nothing lately. One seed is
// always among them: where all nodes have other addresses now, only a seed can tell.
std::vector<redis_endpoint> cluster_watch_fsm::whom_to_ask(time_point now) {
    auto const turn = turn_;
    auto all = all_in_turn(now);
    if (auto const first = std::exchange(first_, std::nullopt)) {
        std::erase(all, *first);
        all.insert(all.begin(), *first);
    }
    if (all.size() <= max_asked) return all;
    all.resize(max_asked);
    bool const has_seed = std::any_of(all.begin(), all.end(), [&](auto const& node) { return contains(seeds_, node); });
    if (!has_seed) all.back() = seeds_[turn % seeds_.size()];
    return all;
}

std::vector<redis_endpoint> cluster_watch_fsm::all_in_turn(time_point now) {
    std::vector<redis_endpoint> all;
    auto const add = [&all](redis_endpoint const& node) {
        if (!contains(all, node)) all.push_back(node);
    };
    if (known_) std::for_each(known_->primaries().begin(), known_->primaries().end(), add);
    if (known_) std::for_each(known_->replicas().begin(), known_->replicas().end(), add);
    std::for_each(seeds_.begin(), seeds_.end(), add);
    auto const next = static_cast<std::ptrdiff_t>(turn_++ % all.size());
    std::rotate(all.begin(), all.begin() + next, all.end());
    std::stable_partition(all.begin(), all.end(), [&](auto const& node) { return !is_silent(node, now); });
    return all;
}

bool cluster_watch_fsm::accept(slot_map found) {
    if (state_ != state::asking || found.covered() == 0) return false;
    if (!best_ || found.covered() > best_->covered()) best_ = std::move(found);
    return best_->is_complete();
}

void cluster_watch_fsm::on_answer(std::optional<redis_endpoint> const& answered_by, time_point now) {
    if (state_ != state::asking) return;
    state_ = state::idle;
    for (auto const& node : asked_) {
        if (node == answered_by) break;
        remember_silence(node, now);
    }
    not_before_ = now + backoff_.next() / 2;
    if (best_) {
        known_ = std::exchange(best_, std::nullopt);
        act(tell{*known_});
    } else {
        asks_again_ = true;
        // At the start the connection that waits for the map tells it.
        if (known_) act(tell_unknown{});
    }
    serve();
    if (asks_again_ || now < search_ends_) ask_soon(now);
}

void cluster_watch_fsm::end() {
    state_ = state::ended;
    actions_.clear();
}

// Until the next attempt to connect has failed or not: a node that is gone is doubted once for each.
void cluster_watch_fsm::extend_search(time_point now) {
    search_ends_ = now + connect_timeout_ + 2 * detail::backoff::longest;
}

void cluster_watch_fsm::remember_silence(redis_endpoint const& node, time_point now) {
    std::erase_if(silent_, [&](auto const& each) { return each.endpoint == node || each.since + lately < now; });
    silent_.push_back({node, now});
}

bool cluster_watch_fsm::is_silent(redis_endpoint const& node, time_point now) const {
    return std::any_of(silent_.begin(), silent_.end(),
                       [&](auto const& each) { return each.endpoint == node && each.since > now - lately; });
}

void cluster_watch_fsm::serve() {
    auto const problem = known_ ? redis_problem::none : redis_problem::no_cluster_known;
    act(serve_waiting{problem, known_ ? known_->primaries().front() : redis_endpoint{.host = {}, .port = 0}});
}

}  // namespace idempo::redis
