// SPDX-License-Identifier: MIT
#include "idempoctl/commands.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/text.hpp"

#include <idempo/listing.hpp>
#include <idempo/stores/url_scheme.hpp>

#ifdef IDEMPOCTL_HAS_POSTGRES
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/scheme.hpp>
#endif

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <stdexcept>

namespace idempoctl {

namespace {

struct totals {
    std::int64_t records = 0;
    std::int64_t in_flight = 0;
    std::int64_t ended_leases = 0;
    std::int64_t completed = 0;
    std::int64_t parked = 0;
    std::int64_t unreadable = 0;
    std::int64_t record_bytes = 0;
    unsigned highest_attempt = 0;

    void count(idempo::record_info const& info) {
        ++records;
        if (info.state == idempo::record_state::in_flight) ++in_flight;
        if (info.state == idempo::record_state::completed) ++completed;
        if (info.state == idempo::record_state::parked) ++parked;
        if (has_ended_lease(info)) ++ended_leases;
        record_bytes += static_cast<std::int64_t>(info.record_bytes);
        highest_attempt = std::max(highest_attempt, info.attempt);
    }
};

#ifdef IDEMPOCTL_HAS_POSTGRES
totals count_in_server(store_link const& link) {
    try {
        auto const counted = idempo::count_postgres(idempo::parse_postgres_url(link.url));
        return {counted.records,      counted.in_flight,
                counted.ended_leases, counted.completed,
                counted.parked,       0,
                counted.record_bytes, static_cast<unsigned>(counted.highest_attempt)};
    } catch (std::runtime_error const& error) {
        throw failure(exit_code::failed, error.what());
    }
}
#endif

/// A walk through the store, for servers that cannot count.
totals walk(store_link& link) {
    totals all;
    idempo::list_request request{.after = {}, .limit = records_a_call, .state = {}, .digits = {}};
    do {
        idempo::error_code error;
        auto const page = link.store.list(request, error);
        require(link, error);
        all.unreadable += static_cast<std::int64_t>(page.unreadable);
        for (auto const& each : page.records) all.count(each.info);
        request.after = page.next;
    } while (!request.after.empty());
    return all;
}

totals count_all([[maybe_unused]] store_link& link) {
#ifdef IDEMPOCTL_HAS_POSTGRES
    if (idempo::postgres_scheme().accepts(idempo::url_scheme(link.url))) return count_in_server(link);
#endif
    return walk(link);
}

}  // namespace

void run_stats(store_link& link, console& io) {
    auto const all = count_all(link);
    if (io.as_json) {
        json_object object;
        object.add("records", all.records).add("in_flight", all.in_flight).add("ended_leases", all.ended_leases);
        object.add("completed", all.completed).add("parked", all.parked).add("unreadable", all.unreadable);
        object.add("record_bytes", all.record_bytes).add("highest_attempt", std::int64_t{all.highest_attempt});
        io.out << object.text() << '\n';
        return;
    }
    io.out << "records          " << all.records << "\n  in flight      " << all.in_flight << "\n    lease ended  "
           << all.ended_leases << "\n  completed      " << all.completed << "\n  parked         " << all.parked
           << "\nunreadable       " << all.unreadable << "\nbytes of answers " << all.record_bytes
           << "\nhighest attempt  " << all.highest_attempt << '\n';
}

}  // namespace idempoctl
