#include "postgres/operation_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace idempo::postgres {

namespace {

/// For the operator alone, and without a form for many.
bool is_single(operation_kind kind) { return kind == operation_kind::peek || kind == operation_kind::forget; }

}  // namespace

void operation_queue::push(operation_ptr submitted) {
    auto const [behind, is_first] = behind_.try_emplace(submitted->key());
    if (is_first) {
        make_ready(std::move(submitted));
    } else {
        behind->second.push_back(std::move(submitted));
    }
}

batch operation_queue::take() {
    auto* const from = next_turn();
    if (from == nullptr) return {};
    auto const count = is_single(from->front()->kind()) ? 1 : std::min(from->size(), largest_batch);
    auto const end = from->begin() + static_cast<std::ptrdiff_t>(count);
    batch taken(std::make_move_iterator(from->begin()), std::make_move_iterator(end));
    from->erase(from->begin(), end);
    ready_count_ -= count;
    std::ranges::sort(taken, {}, [](operation_ptr const& each) -> auto const& { return each->key(); });
    return taken;
}

void operation_queue::finish(operation const& ended) {
    auto const found = behind_.find(ended.key());
    if (found->second.empty()) {
        behind_.erase(found);
    } else {
        found->second.front()->expect_record();
        make_ready(std::move(found->second.front()));
        found->second.pop_front();
    }
}

std::vector<operation_ptr> operation_queue::clear() {
    std::vector<operation_ptr> removed;
    for (auto& kind : ready_) {
        for (auto& each : kind) {
            auto const found = behind_.find(each->key());
            removed.push_back(std::move(each));
            std::ranges::move(found->second, std::back_inserter(removed));
            behind_.erase(found);
        }
        kind.clear();
    }
    // What is left is behind operations that have been taken.
    for (auto& [key, behind] : behind_) {
        std::ranges::move(behind, std::back_inserter(removed));
        behind.clear();
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
