// SPDX-License-Identifier: MIT
#pragma once

#include <iosfwd>

namespace idempoctl {

/// Where a command reads and writes, and how.
struct console {
    std::istream& in;
    std::ostream& out;
    /// Questions, warnings and the audit line.
    std::ostream& err;
    /// Whether a person can answer a question.
    bool is_interactive = false;
    /// Results as JSON, an object in each line.
    bool as_json = false;
    /// What would be asked is confirmed already.
    bool is_confirmed = false;
};

}  // namespace idempoctl
