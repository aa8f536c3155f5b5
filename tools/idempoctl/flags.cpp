// SPDX-License-Identifier: MIT
#include "idempoctl/flags.hpp"

#include "idempoctl/outcome.hpp"
#include "idempoctl/text.hpp"

#include <CLI/CLI.hpp>

#include <boost/beast/http/status.hpp>

#include <iostream>
#include <utility>

namespace idempoctl {

namespace {

using std::chrono::milliseconds;

/// The flags as they were written.
struct written_flags {
    std::string url;
    std::string seal_key_file;
    bool as_json = false;
    bool is_confirmed = false;
    key_choice key;
    std::string state;
    std::string older_than;
    std::string retention;
    std::string body;
    unsigned attempt = 0;
    list_flags list;
    bool with_body = false;
    settle_flags settle;
    hold_flags hold;
    bool is_forced = false;
};

milliseconds span_of(std::string const& flag, std::string const& text) {
    auto const span = parse_span(text);
    if (!span) throw failure(exit_code::wrong_usage, flag + ": a number with ms, s, m, h or d, as in 24h");
    return *span;
}

CLI::App* add_command(CLI::App& app, std::string const& name, std::string const& what) {
    auto* const command = app.add_subcommand(name, what);
    command->fallthrough();
    return command;
}

void add_key(CLI::App& command, written_flags& written) {
    command.add_option("KEY", written.key.key, "What the client sends, or with --digest what a log prints")->required();
    command.add_flag("--digest", written.key.is_digest, "KEY is the first digits of the store key, at least 6");
    command.add_option("--namespace", written.key.key_namespace, "options.key_namespace of the service");
    command.add_option("--scope", written.key.scope, "The caller's id, as scope::principal returns it");
    command.add_option("--secret-file", written.key.secret_file, "The secret of options.digest_keys, in a file");
    command.add_option("--endpoint", written.key.endpoint, "'POST /charges', where options.per_endpoint is set");
}

void add_change(CLI::App& command, written_flags& written) {
    add_key(command, written);
    command.add_option("--attempt", written.attempt, "Only where it is this attempt")->check(CLI::PositiveNumber);
    command.add_option("--retention", written.retention, "How long the record lives from now [24h]");
}

void add_list(CLI::App& app, written_flags& written) {
    auto* const list = add_command(app, "list", "Show records, a page at a time");
    list->add_option("--state", written.state, "in_flight, completed or parked");
    list->add_flag("--lease-ended", written.list.filter.has_ended_lease, "In flight, and nobody works on it");
    list->add_option("--older-than", written.older_than, "Unchanged for so long, as in 5m");
    list->add_option("--min-attempt", written.list.filter.least_attempt, "This attempt or a later one");
    list->add_option("--limit", written.list.limit, "Stop behind the page with so many")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    list->add_option("--after", written.list.after, "Go on where an earlier call stopped");
}

void add_changes(CLI::App& app, written_flags& written) {
    add_change(*add_command(app, "release", "Let the next request run the handler"), written);

    auto* const settle = add_command(app, "settle", "Give each request this answer from now on");
    add_change(*settle, written);
    settle->add_option("--status", written.settle.status, "200 to 599")->required()->check(CLI::Range(200, 599));
    settle->add_option("--body", written.settle.body, "The body of the answer");
    settle->add_option("--field", written.settle.fields, "'Name: value', any number of times");

    auto* const hold = add_command(app, "hold", "Let no request run the handler until it is settled or released");
    add_change(*hold, written);
    hold->add_option("--reason", written.hold.reason, "What is told to whoever looks at it");

    auto* const forget = add_command(app, "forget", "Remove the record: the next request is a new one");
    forget->alias("purge");
    add_change(*forget, written);
    forget->add_flag("--force", written.is_forced, "Even where a handler may be at work");
}

void add_all(CLI::App& app, written_flags& written) {
    app.add_option("--url", written.url, "redis://…, rediss://…, redis+sentinel://…, redis+cluster://…, postgresql://…")
        ->envname("IDEMPO_URL")
        ->required();
    app.add_option("--seal-key-file", written.seal_key_file, "The keys of sealed records in a file, ID:SECRET a line");
    app.add_flag("--json", written.as_json, "An object in each line");
    app.add_flag("--yes", written.is_confirmed, "Do not ask");
    app.require_subcommand(1);
    app.fallthrough();
    add_list(app, written);
    auto* const show = add_command(app, "show", "Show one record");
    add_key(*show, written);
    show->add_flag("--body", written.with_body, "With the fields and the body of the answer");
    add_changes(app, written);
    add_command(app, "stats", "Count the records");
    add_command(app, "check", "Look whether the store is fit for use");
}

change_flags change_of(written_flags const& written) {
    change_flags change{.key = written.key};
    if (written.attempt > 0) change.attempt = written.attempt;
    if (!written.retention.empty()) change.retention = span_of("--retention", written.retention);
    return change;
}

list_flags list_of(written_flags const& written) {
    auto list = written.list;
    if (!written.state.empty()) {
        list.filter.state = parse_state(written.state);
        if (!list.filter.state) throw failure(exit_code::wrong_usage, "--state: in_flight, completed or parked");
    }
    if (!written.older_than.empty()) list.filter.older_than = span_of("--older-than", written.older_than);
    return list;
}

flags flags_of(written_flags written, std::string const& command) {
    flags given{.url = written.url,
                .seal_key_file = written.seal_key_file,
                .as_json = written.as_json,
                .is_confirmed = written.is_confirmed,
                .command = {}};
    auto const change = change_of(written);
    if (command == "list") given.command = list_of(written);
    if (command == "show") given.command = show_flags{written.key, written.with_body};
    if (command == "release") given.command = release_flags{change};
    if (command == "settle") {
        written.settle.change = change;
        given.command = std::move(written.settle);
    }
    if (command == "hold") {
        written.hold.change = change;
        given.command = std::move(written.hold);
    }
    if (command == "forget") given.command = forget_flags{change, written.is_forced};
    if (command == "stats") given.command = stats_flags{};
    if (command == "check") given.command = check_flags{};
    return given;
}

}  // namespace

std::optional<flags> parse_flags(int count, char const* const* words) {
    CLI::App app("Looks at the records of idempo in a store, and changes single ones.", "idempoctl");
    written_flags written;
    add_all(app, written);
    try {
        app.parse(count, words);
    } catch (CLI::Success const& help) {
        app.exit(help);
        return std::nullopt;
    } catch (CLI::ParseError const& error) {
        throw failure(exit_code::wrong_usage, error.what());
    }
    return flags_of(std::move(written), app.get_subcommands().front()->get_name());
}

}  // namespace idempoctl
