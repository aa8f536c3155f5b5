// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/operation_queue.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace idempo::postgres {

namespace {

/// For the operator alone, or rare, and without a form for many.
bool is_single(operation_kind kind) {
    switch (kind) {
    case operation_kind::save_step:
    case operation_kind::park:
    case operation_kind::settle:
    case operation_kind::free:
    case operation_kind::peek:
    case operation_kind::forget:
    case operation_kind::list: return true;
    default: return false;
    }
}

bool is_claim(operation_kind kind) {
    return kind == operation_kind::claim || kind == operation_kind::claim_without_takeover ||
           kind == operation_kind::claim_remembering || kind == operation_kind::claim_without_takeover_remembering;
}

/// Without it, claims that wait would use up the lease of the one that they wait for.
bool is_of_holder(operation_kind kind) {
    switch (kind) {
    case operation_kind::complete:
    case operation_kind::renew:
    case operation_kind::save_step:
    case operation_kind::park: return true;
    default: return false;
    }
}

/// As many as fit, and one at least.
std::size_t count_of_batch(std::deque<operation_ptr> const& ready) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < ready.size() && count < operation_queue::largest_batch) {
        bytes += ready[count]->bytes();
        if (count > 0 && bytes > largest_statement_bytes) break;
        ++count;
    }
    return count;
}

}  // namespace

void operation_queue::push(operation_ptr submitted) {
    auto const [line, is_first] = lines_.try_emplace(submitted->key());
    if (is_first) {
        make_ready(std::move(submitted));
    } else {
        line->second.behind.push_back(std::move(submitted));
    }
}

batch operation_queue::take() {
    auto* const from = next_turn();
    if (from == nullptr) return {};
    auto const count = is_single(from->front()->kind()) ? 1 : count_of_batch(*from);
    auto const end = from->begin() + static_cast<std::ptrdiff_t>(count);
    batch taken(std::make_move_iterator(from->begin()), std::make_move_iterator(end));
    from->erase(from->begin(), end);
    ready_count_ -= count;
    take_followers(taken);
    std::ranges::stable_sort(taken, {}, [](operation_ptr const& each) -> auto const& { return each->key(); });
    return taken;
}

void operation_queue::take_followers(batch& taken) {
    auto const first_ones = taken.size();
    for (std::size_t place = 0; place < first_ones; ++place) {
        auto const& first = *taken[place];
        if (!is_claim(first.kind()) || !first.request().expects_record) continue;
        auto& line = lines_.find(first.key())->second;
        while (!line.behind.empty() && line.behind.front()->kind() == first.kind() && taken.size() < largest_batch) {
            line.behind.front()->expect_record();
            taken.push_back(std::move(line.behind.front()));
            line.behind.pop_front();
            ++line.running;
        }
    }
}

void operation_queue::finish(operation const& ended) {
    auto const found = lines_.find(ended.key());
    auto& line = found->second;
    if (--line.running > 0) return;
    if (line.behind.empty()) {
        lines_.erase(found);
        return;
    }
    line.running = 1;
    auto next = take_next(line.behind);
    next->expect_record();
    make_ready(std::move(next));
}

/// The first, or what a holder asks where only what others ask is before it.
operation_ptr operation_queue::take_next(std::list<operation_ptr>& behind) {
    auto chosen = behind.begin();
    for (auto each = behind.begin(); each != behind.end(); ++each) {
        auto const is_own = [&](operation_ptr const& before) { return before->request().by == (*each)->request().by; };
        if (!is_of_holder((*each)->kind()) || std::any_of(behind.begin(), each, is_own)) continue;
        chosen = each;
        break;
    }
    auto next = std::move(*chosen);
    behind.erase(chosen);
    return next;
}

std::vector<operation_ptr> operation_queue::clear() {
    std::vector<operation_ptr> removed;
    for (auto& kind : ready_) {
        for (auto& each : kind) {
            auto const found = lines_.find(each->key());
            removed.push_back(std::move(each));
            std::ranges::move(found->second.behind, std::back_inserter(removed));
            lines_.erase(found);
        }
        kind.clear();
    }
    // What is left is behind operations that have been taken.
    for (auto& [key, line] : lines_) {
        std::ranges::move(line.behind, std::back_inserter(removed));
        line.behind.clear();
    }
    ready_count_ = 0;
    return removed;
}

void operation_queue::make_ready(operation_ptr first) {
    ready(first->kind()).push_back(std::move(first));
    ++ready_count_;
}

/// The kinds take turns, so that none waits for ever.
std::deque<operation_ptr>* operation_queue::next_turn() {
    for (std::size_t tried = 0; tried < operation_kinds; ++tried) {
        turn_ = (turn_ + 1) % operation_kinds;
        if (!ready_[turn_].empty()) return &ready_[turn_];
    }
    return nullptr;
}

}  // namespace idempo::postgres
