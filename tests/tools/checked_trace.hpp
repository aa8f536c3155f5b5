// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/checker.hpp"
#include "check_trace/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace idempo::tests {

/// What check-trace finds in a trace of one process. Each line has its line break.
[[nodiscard]] inline check_trace::findings check_lines(std::string_view text, check_trace::assumptions given) {
    check_trace::checker tested(given);
    std::size_t begin = 0;
    for (std::uint64_t line = 1; begin < text.size(); ++line) {
        auto const end = text.find('\n', begin);
        tested.add(check_trace::read_entry(text.substr(begin, end - begin)), {0, line});
        begin = end + 1;
    }
    return tested.finish();
}

}  // namespace idempo::tests
