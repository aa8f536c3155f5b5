// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::postgres {

/// The parameters of a statement in PostgreSQL's binary format, in which nothing has to be escaped.
class binary_parameters {
public:
    void add(std::string_view bytes) { values_.emplace_back(bytes); }
    void add(std::int64_t number);

    /// One-dimensional arrays, `bytea[]` and `bigint[]`.
    void add_array(std::vector<std::string_view> const& elements);
    void add_array(std::vector<std::int64_t> const& elements);

    [[nodiscard]] std::vector<std::string> const& values() const noexcept { return values_; }

private:
    std::vector<std::string> values_;
};

}  // namespace idempo::postgres
