// SPDX-License-Identifier: MIT
#include "idempoctl/commands.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/text.hpp"

#include <idempo/listing.hpp>
#include <idempo/stores/ready.hpp>
#include <idempo/stores/url_scheme.hpp>

#ifdef IDEMPOCTL_HAS_POSTGRES
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/scheme.hpp>
#endif

#include <ostream>

namespace idempoctl {

namespace {

/// What has been looked at, and whether the store works without it.
class findings {
public:
    explicit findings(console& io) : io_(io) {}

    void tell(std::string const& what, bool is_fit) {
        is_fit_ = is_fit_ && is_fit;
        if (io_.as_json) {
            io_.out << json_object().add("check", what).add("ok", is_fit).text() << '\n';
        } else {
            io_.out << (is_fit ? "ok    " : "FAIL  ") << what << '\n';
        }
    }
    void warn(std::string const& what) {
        if (io_.as_json) {
            io_.out << json_object().add("warning", what).text() << '\n';
        } else {
            io_.out << "note  " << what << '\n';
        }
    }
    [[nodiscard]] bool is_fit() const { return is_fit_; }

private:
    console& io_;
    bool is_fit_ = true;
};

#ifdef IDEMPOCTL_HAS_POSTGRES
void check_schema(store_link const& link, findings& found) {
    auto const server = idempo::check_postgres(idempo::parse_postgres_url(link.url));
    found.tell("PostgreSQL " + std::to_string(server.server_version), true);
    found.tell("schema " + std::to_string(server.schema_version) + ", needed " +
                   std::to_string(server.needed_schema_version),
               server.is_migrated());
    found.tell(server.missing_rights.empty() ? "rights" : "rights: the role lacks " + server.missing_rights,
               server.missing_rights.empty());
    found.tell(server.is_read_only ? "the server is read-only" : "the server takes writes", !server.is_read_only);
    found.tell(server.is_unlogged ? "the table is unlogged" : "the table is logged", !server.is_unlogged);
    for (auto const& warning : server.warnings()) found.warn(warning);
}
#endif

void check_server([[maybe_unused]] store_link const& link, [[maybe_unused]] findings& found) {
#ifdef IDEMPOCTL_HAS_POSTGRES
    if (idempo::postgres_scheme().accepts(idempo::url_scheme(link.url))) check_schema(link, found);
#endif
}

std::string with_reason(store_link const& link, std::string const& what, idempo::error_code error) {
    if (!error) return what;
    auto const problem = link.report->problem();
    return what + ": " + error.message() + (problem.empty() ? "" : ": " + problem);
}

}  // namespace

void run_check(store_link& link, console& io) {
    findings found(io);
    try {
        check_server(link, found);
    } catch (std::runtime_error const& error) {
        throw failure(exit_code::failed, error.what());
    }
    auto const claimed = idempo::ready(link.store);
    found.tell(with_reason(link, "a claim is taken", claimed), !claimed);
    idempo::error_code listed;
    static_cast<void>(link.store.list({.after = {}, .limit = 1, .state = {}, .digits = {}}, listed));
    found.tell(with_reason(link, "records are listed", listed), !listed);
    if (auto const facts = link.report->facts(); !facts.empty()) found.warn(facts);
    if (link.report->may_evict()) found.tell("its policy may evict live claims: set noeviction", false);
    if (!found.is_fit()) throw failure(exit_code::unfit, "the store is not fit for use");
}

}  // namespace idempoctl
