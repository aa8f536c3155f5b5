// SPDX-License-Identifier: MIT
#pragma once

#include "idempoctl/commands.hpp"

#include <optional>
#include <string>
#include <variant>

namespace idempoctl {

struct release_flags : change_flags {};
struct stats_flags {};
struct check_flags {};

/// What the command line asks for.
struct flags {
    std::string url;
    /// Empty: the service does not seal.
    std::string seal_key_file{};
    bool as_json = false;
    bool is_confirmed = false;
    std::variant<list_flags, show_flags, release_flags, settle_flags, hold_flags, forget_flags, stats_flags,
                 check_flags>
        command;
};

/// Empty where nothing is left to do: help was asked for, and has been printed.
/// \throws failure where a flag makes no sense
[[nodiscard]] std::optional<flags> parse_flags(int count, char const* const* words);

}  // namespace idempoctl
