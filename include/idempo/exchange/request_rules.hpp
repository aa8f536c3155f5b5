// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/digest_key.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/options.hpp>
#include <idempo/scope.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace idempo::detail {

/// How a service tells keys apart, at one time.
struct key_identity {
    idempo::scope scope;
    std::string key_namespace;
    bool per_endpoint = false;
    std::optional<digest_key> secret{};
    /// Whether the caller is the same as under the current one.
    bool has_current_scope = true;
    /// The rule that its new records are made by.
    std::size_t rule = 0;
};

/// How a middleware tells keys and requests apart, made once from its options: the current identity and its rule for
/// new records, then those that made records which may still be in the store.
class request_rules {
public:
    explicit request_rules(options const& options) {
        add(options, previous_identity{});
        for (auto const& other : options.previous) add(options, other);
    }

    /// 0 is the current one.
    [[nodiscard]] fingerprint_rule const& operator[](std::size_t index) const noexcept { return rules_[index]; }

    /// In the same order. Valid as long as this object.
    [[nodiscard]] std::span<std::uint32_t const> numbers() const noexcept { return numbers_; }

    /// The current one first.
    [[nodiscard]] std::vector<key_identity> const& identities() const noexcept { return identities_; }

private:
    void add(options const& options, previous_identity const& other) {
        key_identity made{other.scope.value_or(options.scope), other.key_namespace.value_or(options.key_namespace),
                          other.per_endpoint.value_or(options.per_endpoint)};
        made.has_current_scope = !other.scope;
        auto const keys = other.digest_keys.value_or(options.digest_keys);
        if (keys.list().empty()) add(options, made);
        for (auto const& key : keys.list()) {
            made.secret = key;
            add(options, made);
        }
    }

    void add(options const& options, key_identity identity) {
        identity.rule = add_rule(options.same_request, identity);
        for (auto const& what : options.previous_rules) add_rule(what, identity);
        identities_.push_back(std::move(identity));
    }

    std::size_t add_rule(same_request const& what, key_identity const& identity) {
        fingerprint_rule rule(what, identity.scope.credential_fields(), identity.secret);
        auto const found = std::find(numbers_.begin(), numbers_.end(), rule.number());
        auto const place = static_cast<std::size_t>(found - numbers_.begin());
        if (found != numbers_.end()) return place;
        numbers_.push_back(rule.number());
        rules_.push_back(std::move(rule));
        return place;
    }

    std::vector<fingerprint_rule> rules_;
    std::vector<std::uint32_t> numbers_;
    std::vector<key_identity> identities_;
};

}  // namespace idempo::detail
