// SPDX-License-Identifier: MIT
#include "check_trace/flags.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace check_trace {

namespace {

constexpr double microseconds_a_second = 1e6;

microseconds span_of(double seconds) { return static_cast<microseconds>(seconds * microseconds_a_second); }

}  // namespace

std::optional<flags> parse_flags(int count, char const* const* words) {
    CLI::App app(
        "Holds traces of idempo against the model of its protocol (docs/traces.md). It ends with 0 where every "
        "event is in the model, 1 where one is not, and 2 where nothing could be checked.",
        "check-trace");
    flags made;
    double skew = 0.02;
    double slack = 1;
    double repeat = 5;
    app.add_option("FILE", made.files, "The traces of all processes that share the records; - is the standard input")
        ->required();
    app.add_flag("--json", made.as_json, "Print an object");
    app.add_option("--skew", skew, "Seconds by which the clocks of two processes may differ")
        ->check(CLI::Range(0.0, 86'400.0))
        ->capture_default_str();
    app.add_option("--slack", slack, "Seconds by which the store's clock may differ from theirs, or jump")
        ->check(CLI::Range(0.0, 86'400.0))
        ->capture_default_str();
    app.add_option("--repeat", repeat, "Seconds for which a call that was sent twice may be executed late")
        ->check(CLI::Range(0.0, 86'400.0))
        ->capture_default_str();
    app.add_flag("--from-empty", made.given.begins_empty, "The store was empty when the traces began");
    app.add_flag("--may-lose", made.given.may_lose, "The store may lose records: a failover, or no persistence");
    app.add_flag("--strict", made.is_strict, "What cannot be judged is an error, too");
    try {
        app.parse(count, words);
    } catch (CLI::CallForHelp const&) {
        std::cout << app.help() << std::flush;
        return std::nullopt;
    } catch (CLI::ParseError const& error) {
        throw wrong_usage(error.what());
    }
    if (std::count(made.files.begin(), made.files.end(), "-") > 1) throw wrong_usage("there is one standard input");
    made.given.skew = span_of(skew);
    made.given.slack = span_of(slack);
    made.given.repeat = span_of(repeat);
    return made;
}

}  // namespace check_trace
