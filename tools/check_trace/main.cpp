// SPDX-License-Identifier: MIT
#include "check_trace/checker.hpp"
#include "check_trace/flags.hpp"
#include "check_trace/input.hpp"
#include "check_trace/report.hpp"

#include <exception>
#include <iostream>

/// \file
/// check-trace: holds traces against the model. See docs/traces.md.

namespace {

using namespace check_trace;

enum exit_code { clean = 0, forbidden_step = 1, not_checked = 2 };

exit_code check(flags const& asked) {
    checker judge(asked.given);
    auto const read = read_all(asked.files, judge);
    auto const found = judge.finish();
    if (found.calls == 0) {
        std::cerr << "check-trace: there is no call of a store in the trace: nothing was checked" << std::endl;
        return not_checked;
    }
    (asked.as_json ? print_json : print)(std::cout, found, read, asked.files);
    if (found.violations > 0) return forbidden_step;
    return asked.is_strict && found.undecided > 0 ? forbidden_step : clean;
}

}  // namespace

int main(int count, char** words) {
    try {
        auto const asked = parse_flags(count, words);
        if (!asked) return clean;
        auto const result = check(*asked);
        std::cout.flush();
        return result;
    } catch (std::exception const& error) {
        std::cerr << "check-trace: " << error.what() << std::endl;
        return not_checked;
    }
}
