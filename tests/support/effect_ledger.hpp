// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::tests {

/// The effects of handlers: append-only, without anything that prevents a duplicate. The test counts it afterwards.
/// A handle, safe from any thread.
class effect_ledger {
public:
    /// Returns the number of the entry, from 1.
    std::size_t append(std::string_view key) const {
        std::lock_guard const lock(shared_->mutex);
        shared_->entries.emplace_back(key);
        return shared_->entries.size();
    }

    [[nodiscard]] std::size_t size() const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->entries.size();
    }

    [[nodiscard]] std::map<std::string, int> by_key() const {
        std::lock_guard const lock(shared_->mutex);
        std::map<std::string, int> counts;
        for (auto const& key : shared_->entries) ++counts[key];
        return counts;
    }

    [[nodiscard]] int count(std::string const& key) const {
        auto const counts = by_key();
        auto const found = counts.find(key);
        return found == counts.end() ? 0 : found->second;
    }

private:
    struct shared {
        std::mutex mutex;
        std::vector<std::string> entries;
    };
    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

}  // namespace idempo::tests
