// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/fingerprint.hpp>
#include <idempo/options.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace idempo::detail {

/// How a middleware tells requests apart, made once from its options: the rule for new records, then those that made
/// records which may still be in the store.
class request_rules {
public:
    explicit request_rules(options const& options) {
        auto const& credentials = options.scope.credential_fields();
        rules_.emplace_back(options.same_request, credentials);
        for (auto const& what : options.previous_rules) rules_.emplace_back(what, credentials);
        for (auto const& rule : rules_) numbers_.push_back(rule.number());
    }

    /// 0 is the current one.
    [[nodiscard]] fingerprint_rule const& operator[](std::size_t index) const noexcept { return rules_[index]; }

    /// In the same order. Valid as long as this object.
    [[nodiscard]] std::span<std::uint32_t const> numbers() const noexcept { return numbers_; }

private:
    std::vector<fingerprint_rule> rules_;
    std::vector<std::uint32_t> numbers_;
};

}  // namespace idempo::detail
