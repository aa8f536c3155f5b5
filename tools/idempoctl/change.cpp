// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"

#include "idempoctl/outcome.hpp"
#include "idempoctl/text.hpp"

#include <array>
#include <ctime>
#include <istream>
#include <ostream>

#include <pwd.h>
#include <unistd.h>

namespace idempoctl {

namespace {

/// As the system knows the one who started the program.
std::string user_name() {
    constexpr std::size_t enough = 16384;
    std::array<char, enough> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    auto const user = ::getuid();
    bool const is_known = ::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
    return is_known ? entry.pw_name : "uid " + std::to_string(user);
}

std::string why_held(idempo::record_info const& info) {
    return "attempt " + std::to_string(info.attempt) + " holds it for another " + print_span(info.lease_remaining) +
           ": wait for the end of the lease, or end its process first";
}

bool is_held(idempo::record_info const& info) {
    return info.state == idempo::record_state::in_flight && !has_ended_lease(info) && !is_free(info);
}

}  // namespace

seen_record look_at(store_link& link, key_choice const& choice, std::optional<unsigned> attempt) {
    auto const key = find_key(link, choice);
    idempo::error_code error;
    auto const info = link.store.peek(key, error);
    require(link, error);
    if (!info) {
        auto const hint = choice.is_digest ? "" : " (are --namespace, --scope and --endpoint those of the service?)";
        throw failure(exit_code::no_record, "no record under " + idempo::to_hex(key.view()) + hint);
    }
    if (attempt && *attempt != info->attempt) {
        throw failure(exit_code::refused, "it is attempt " + std::to_string(info->attempt) + " now, not " +
                                              std::to_string(*attempt) + ": nothing was changed");
    }
    return {key, *info};
}

std::string why_not_settle(idempo::record_info const& info) {
    if (info.state == idempo::record_state::completed) return "it has an answer already; `show` tells it";
    if (info.state == idempo::record_state::remembered) return "it has expired; `forget` makes the key new";
    return is_held(info) ? why_held(info) : "";
}

std::string why_not_hold(idempo::record_info const& info) {
    if (info.state == idempo::record_state::parked) return "it is held already";
    return why_not_settle(info);
}

std::string why_not_forget(idempo::record_info const& info, bool is_forced) {
    return is_held(info) && !is_forced ? why_held(info) + "; --force takes it away from a handler at work" : "";
}

void refuse_for(std::string const& reason) {
    if (!reason.empty()) throw failure(exit_code::refused, reason + ". Nothing was changed");
}

void confirm(console& io, std::string_view action, seen_record const& seen, std::string_view what) {
    if (io.is_confirmed) return;
    if (!io.is_interactive) throw failure(exit_code::refused, "nobody can confirm it here: give --yes");
    io.err << action << ' ' << idempo::to_hex(seen.key.view()) << " (" << sentence_of(seen.info) << ")\n"
           << what << "\nType yes to go on: " << std::flush;
    std::string answer;
    std::getline(io.in, answer);
    if (answer != "yes") throw failure(exit_code::refused, "not confirmed. Nothing was changed");
}

std::string audit_line(audit_entry const& entry, std::chrono::system_clock::time_point now, std::string_view user) {
    auto const seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, sizeof "2026-11-27T03:00:00Z"> time{};
    std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    std::string line = "audit time=" + std::string(time.data());
    line.append(" user=").append(json_string(user)).append(" action=").append(entry.action);
    line.append(" key=").append(idempo::to_hex(entry.key.view()));
    line.append(" before=").append(json_string(entry.before)).append(" after=").append(json_string(entry.after));
    return line + " result=" + (entry.is_done ? "done" : "refused");
}

void audit(console& io, audit_entry const& entry) {
    io.err << audit_line(entry, std::chrono::system_clock::now(), user_name()) << std::endl;
}

void conclude(console& io, audit_entry const& entry) {
    audit(io, entry);
    if (!entry.is_done) {
        throw failure(exit_code::refused, "the record has changed since it was looked at. Nothing was changed");
    }
    if (io.as_json) {
        json_object object;
        object.add("key", idempo::to_hex(entry.key.view())).add("action", entry.action);
        object.add("before", entry.before).add("after", entry.after);
        io.out << object.text() << '\n';
    } else {
        io.out << entry.action << ": " << entry.before << " -> " << entry.after << '\n';
    }
}

}  // namespace idempoctl
