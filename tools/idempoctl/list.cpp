// SPDX-License-Identifier: MIT
#include "idempoctl/commands.hpp"
#include "idempoctl/text.hpp"

#include <idempo/listing.hpp>

#include <iomanip>
#include <ostream>

namespace idempoctl {

namespace {

/// Enough for a person to tell keys apart, and for `show --digest`.
constexpr std::size_t shown_digits = 16;

void print_header(std::ostream& out) {
    out << std::left << std::setw(18) << "KEY" << std::setw(11) << "STATE" << std::setw(9) << "ATTEMPT" << std::setw(11)
        << "AGE" << std::setw(14) << "LEASE" << std::setw(11) << "EXPIRES" << std::setw(9) << "BYTES"
        << "REASON\n";
}

std::string lease_of(idempo::record_info const& info) {
    if (info.state != idempo::record_state::in_flight || is_free(info)) return "-";
    return (has_ended_lease(info) ? "ended " : "") + print_span(info.lease_remaining);
}

void print_row(std::ostream& out, idempo::listed_record const& record) {
    auto const& info = record.info;
    out << std::left << std::setw(18) << idempo::to_hex(record.key.view()).substr(0, shown_digits) << std::setw(11)
        << (is_free(info) ? "free" : name_of(info.state)) << std::setw(9) << info.attempt << std::setw(11)
        << (info.age ? print_span(*info.age) : "?") << std::setw(14) << lease_of(info) << std::setw(11)
        << print_span(info.expires_in) << std::setw(9) << info.record_bytes << printable(info.reason) << '\n';
}

bool is_any(list_filter const& filter) {
    return !filter.older_than && filter.least_attempt == 0 && !filter.has_ended_lease && !filter.state;
}

idempo::list_request request_of(list_flags const& flags) {
    idempo::list_request request;
    request.after = flags.after;
    request.limit = is_any(flags.filter) ? flags.limit : records_a_call;
    request.state = flags.filter.state;
    if (flags.filter.has_ended_lease) request.state = idempo::record_state::in_flight;
    request.least_attempt = flags.filter.least_attempt;
    request.lease_ended = flags.filter.has_ended_lease;
    request.older_than = flags.filter.older_than;
    return request;
}

}  // namespace

bool matches(list_filter const& filter, idempo::record_info const& info) {
    if (filter.state && *filter.state != info.state) return false;
    if (filter.older_than && (!info.age || *info.age < *filter.older_than)) return false;
    if (info.attempt < filter.least_attempt) return false;
    return !filter.has_ended_lease || has_ended_lease(info);
}

void run_list(store_link& link, console& io, list_flags const& flags) {
    auto request = request_of(flags);
    std::size_t shown = 0;
    std::size_t unreadable = 0;
    std::size_t of_unknown_age = 0;
    if (!io.as_json) print_header(io.out);
    do {
        idempo::error_code error;
        auto const page = link.store.list(request, error);
        require(link, error);
        unreadable += page.unreadable;
        for (auto const& each : page.records) {
            if (flags.filter.older_than && !each.info.age) ++of_unknown_age;
            if (!matches(flags.filter, each.info)) continue;
            ++shown;
            if (io.as_json) {
                io.out << json_of(each.key, each.info).text() << '\n';
            } else {
                print_row(io.out, each);
            }
        }
        request.after = page.next;
        // A server that knows the age of none knows none in the rest either, and would send all of it.
        if (of_unknown_age > 0 && shown == 0) break;
    } while (!request.after.empty() && shown < flags.limit);
    if (unreadable > 0) io.err << unreadable << " values are no records of this version\n";
    if (of_unknown_age > 0) {
        io.err << of_unknown_age << " records were left out, since the store does not know their age"
               << " (PostgreSQL: track_commit_timestamp is off)\n";
    }
    if (!request.after.empty()) io.err << "there is more: --after " << request.after << '\n';
}

}  // namespace idempoctl
