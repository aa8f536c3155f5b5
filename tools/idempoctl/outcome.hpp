// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace idempoctl {

/// How the program ends, for a script that calls it.
enum class exit_code {
    done = 0,
    /// The store could not be reached, or refused.
    failed = 1,
    /// A flag or the URL makes no sense.
    wrong_usage = 2,
    /// There is no record under the key.
    no_record = 3,
    /// The record is not in a state for that, it has changed meanwhile, or nobody has confirmed. Nothing was changed.
    refused = 4,
    /// `check` has found something without which the store does not work.
    unfit = 5,
};

/// Ends the command, with a sentence for the person who called it.
class failure : public std::runtime_error {
public:
    failure(exit_code how, std::string const& sentence) : std::runtime_error(sentence), code(how) {}
    exit_code code;
};

}  // namespace idempoctl
