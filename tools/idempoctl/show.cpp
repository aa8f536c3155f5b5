// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/stored_answer.hpp"
#include "idempoctl/text.hpp"

#include <idempo/record/stored_response.hpp>

#include <iomanip>
#include <ostream>
#include <string_view>

namespace idempoctl {

namespace {

using idempo::record_state;

/// What a log prints of a key.
constexpr std::size_t logged_digits = 8;

void line(std::ostream& out, std::string_view name, std::string_view value) {
    out << std::left << std::setw(9) << name << ' ' << value << '\n';
}

std::string state_of(idempo::record_info const& info) {
    if (info.state == record_state::completed) return "completed: a retry gets the stored answer";
    if (info.state == record_state::parked) return "parked: nobody knows the outcome, and no request runs the handler";
    if (info.state == record_state::remembered) return "expired: a retry gets 410; `forget` makes the key new";
    if (is_free(info)) return "free: the next request runs the handler";
    return has_ended_lease(info) ? "in flight, but its lease has ended: the process has died, or lost the store"
                                 : "in flight: a process is at work on it, and others get 409";
}

std::string lease_of(idempo::record_info const& info) {
    return has_ended_lease(info) ? "ended " + print_span(info.lease_remaining) + " ago"
                                 : "ends in " + print_span(info.lease_remaining) + ", if it is not renewed";
}

void print_info(std::ostream& out, seen_record const& seen) {
    auto const& info = seen.info;
    auto const digits = idempo::to_hex(seen.key.view());
    line(out, "key", digits);
    line(out, "state", state_of(info));
    if (info.state != record_state::remembered) line(out, "attempt", std::to_string(info.attempt));
    if (info.state == record_state::in_flight && !is_free(info)) {
        line(out, "holder",
             "the process whose log has key=" + digits.substr(0, logged_digits) +
                 " attempt=" + std::to_string(info.attempt));
        line(out, "lease", lease_of(info));
    }
    line(out, "since", info.age ? print_span(*info.age) + " ago" : "not known to this store");
    line(out, "until", "in " + print_span(info.expires_in));
    if (info.steps_bytes > 0) line(out, "steps", std::to_string(info.steps_bytes) + " bytes");
    if (!info.reason.empty()) line(out, "reason", printable(info.reason));
}

/// Not a response where it is sealed, or of another version.
std::optional<idempo::stored_response> answer_of(store_link& link, seen_record const& seen) {
    if (seen.info.state != record_state::completed) return std::nullopt;
    auto record = stored_answer(link, seen.key);
    if (!record) return std::nullopt;
    idempo::error_code error;
    auto answer = idempo::stored_response::decode(*std::move(record), error);
    return error ? std::nullopt : std::optional(std::move(answer));
}

void print_answer(std::ostream& out, idempo::record_info const& info,
                  std::optional<idempo::stored_response> const& answer, bool with_body) {
    line(out, "size", std::to_string(info.record_bytes) + " bytes");
    if (!answer)
        return line(out, "status", "not readable here: the record is sealed (--seal-key-file), or of another version");
    line(out, "status", std::to_string(answer->status()) + (answer->retained() ? "" : ", the answer was not kept"));
    if (!answer->traceparent().empty()) line(out, "trace", answer->traceparent());
    if (!with_body) return;
    for (auto const field : answer->fields()) {
        line(out, "field", printable(std::string(field.name) + ": " + std::string(field.value)));
    }
    line(out, "body", "");
    out << answer->body() << '\n';
}

std::string json_of_answer(seen_record const& seen, std::optional<idempo::stored_response> const& answer,
                           bool with_body) {
    auto object = json_of(seen.key, seen.info);
    if (answer) object.add("status", std::int64_t{answer->status()});
    if (answer && !answer->traceparent().empty()) object.add("traceparent", answer->traceparent());
    if (answer && with_body) object.add("body_hex", idempo::to_hex(answer->body()));
    return object.text();
}

}  // namespace

void run_show(store_link& link, console& io, show_flags const& flags) {
    auto const seen = look_at(link, flags.key);
    auto const answer = answer_of(link, seen);
    if (io.as_json) {
        io.out << json_of_answer(seen, answer, flags.with_body) << '\n';
        return;
    }
    print_info(io.out, seen);
    if (seen.info.state == record_state::completed) print_answer(io.out, seen.info, answer, flags.with_body);
}

}  // namespace idempoctl
