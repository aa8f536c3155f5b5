// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>

namespace idempo::postgres {

/// One step of the schema, `{table}` stands for the quoted name of the table.
struct migration {
    int number = 0;
    std::string_view text;
};

/// All of them, the first first. What was released is never changed: another one is added.
[[nodiscard]] std::span<migration const> migrations();

}  // namespace idempo::postgres
