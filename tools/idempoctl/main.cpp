// SPDX-License-Identifier: MIT
#include "idempoctl/commands.hpp"
#include "idempoctl/flags.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/seal_keys.hpp"

#include <exception>
#include <iostream>
#include <variant>

#include <unistd.h>

/// \file
/// idempoctl: who holds a key, and what to do about it. See docs/runbook.md.

namespace {

using namespace idempoctl;

template <class... Calls>
struct overloaded : Calls... {
    using Calls::operator()...;
};
template <class... Calls>
overloaded(Calls...) -> overloaded<Calls...>;  // clang 16 cannot deduce an aggregate's

void run(flags const& given) {
    console io{std::cin, std::cout, std::cerr, ::isatty(STDIN_FILENO) == 1, given.as_json, given.is_confirmed};
    auto link = open_link(given.url, read_seal_keys(given.seal_key_file));
    std::visit(overloaded{[&](list_flags const& command) { run_list(link, io, command); },
                          [&](show_flags const& command) { run_show(link, io, command); },
                          [&](release_flags const& command) { run_release(link, io, command); },
                          [&](settle_flags const& command) { run_settle(link, io, command); },
                          [&](hold_flags const& command) { run_hold(link, io, command); },
                          [&](forget_flags const& command) { run_forget(link, io, command); },
                          [&](stats_flags const&) { run_stats(link, io); },
                          [&](check_flags const&) { run_check(link, io); }},
               given.command);
}

int report(std::exception const& error, exit_code code) {
    std::cerr << "idempoctl: " << error.what() << std::endl;
    return static_cast<int>(code);
}

}  // namespace

int main(int count, char** words) {
    try {
        if (auto const given = parse_flags(count, words)) run(*given);
        std::cout.flush();
        return static_cast<int>(exit_code::done);
    } catch (failure const& error) {
        return report(error, error.code);
    } catch (std::exception const& error) {
        return report(error, exit_code::failed);
    }
}
