// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// \file
/// What the checks of a handler have found.

namespace idempo::testing {

/// One check of a handler.
struct handler_check {
    /// What was done to the handler: "dies after an effect", say.
    std::string name;
    bool passed = true;
    /// Which promise the handler breaks, and what repairs it. Empty where it passed.
    std::string sentence{};
};

/// All checks of a handler, in the order in which they ran.
struct handler_report {
    std::vector<handler_check> checks;

    [[nodiscard]] bool passed() const noexcept { return std::ranges::all_of(checks, &handler_check::passed); }

    /// The check of this name; null if it did not run.
    [[nodiscard]] handler_check const* find(std::string_view name) const noexcept {
        auto const found = std::ranges::find(checks, name, &handler_check::name);
        return found == checks.end() ? nullptr : &*found;
    }

    /// A line for each check that failed; empty where none did.
    [[nodiscard]] std::string failures() const {
        std::string lines;
        for (auto const& check : checks) {
            if (!check.passed) lines += check.name + ": " + check.sentence + '\n';
        }
        return lines;
    }

    /// A line for each check.
    friend std::ostream& operator<<(std::ostream& to, handler_report const& report) {
        for (auto const& check : report.checks) {
            to << (check.passed ? "passed  " : "FAILED  ") << check.name;
            if (!check.passed) to << ": " << check.sentence;
            to << '\n';
        }
        return to;
    }
};

}  // namespace idempo::testing
