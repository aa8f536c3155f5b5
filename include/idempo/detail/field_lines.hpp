// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/core/string.hpp>

#include <cstddef>
#include <string_view>

namespace idempo::detail {

/// Calls `visit(std::string_view value)` for each field line of that name, in whatever case, in order.
///
/// Walks over all fields: a request has few, and names differ in length, so this is faster than Beast's tree of names.
template <class Fields, class Visit>
void visit_field_lines(Fields const& fields, std::string_view name, Visit&& visit) {
    for (auto const& field : fields) {
        auto const candidate = field.name_string();
        if (candidate.size() != name.size() || !boost::beast::iequals(candidate, name)) continue;
        visit(std::string_view(field.value().data(), field.value().size()));
    }
}

/// The number of field lines of that name.
template <class Fields>
[[nodiscard]] std::size_t count_field_lines(Fields const& fields, std::string_view name) {
    std::size_t lines = 0;
    visit_field_lines(fields, name, [&lines](std::string_view) { ++lines; });
    return lines;
}

}  // namespace idempo::detail
