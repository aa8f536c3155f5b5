// SPDX-License-Identifier: MIT
#include "servers/charge_server/stores.hpp"

#include <idempo/stores/any_store.hpp>
#include <idempo/stores/open_store.hpp>
#include <idempo/stores/traced.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <stdexcept>
#include <tuple>
#include <utility>

#ifdef CHARGE_SERVER_HAS_REDIS
#include "servers/charge_server/redis_log.hpp"

#include <idempo/redis/scheme.hpp>
#include <idempo/redis/store.hpp>
#endif

#ifdef CHARGE_SERVER_HAS_POSTGRES
#include "servers/charge_server/postgres_log.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/scheme.hpp>
#include <idempo/postgres/store.hpp>
#endif

namespace {

/// Those that this server was built with.
auto schemes() {
    return std::tuple_cat(
#ifdef CHARGE_SERVER_HAS_REDIS
        std::tuple(idempo::redis_scheme{.others = {.observer = redis_log()}}),
#endif
#ifdef CHARGE_SERVER_HAS_POSTGRES
        std::tuple(idempo::postgres_scheme{.others = {.observer = postgres_log()}}),
#endif
        std::tuple());
}

#ifdef CHARGE_SERVER_HAS_POSTGRES

bool is_postgres(std::string_view url) { return idempo::postgres_scheme().accepts(idempo::url_scheme(url)); }

/// What is wrong with the table needs `--migrate`. What is wrong with the server may be over soon: until then, requests
/// are refused.
void check_postgres_table(std::string_view url) {
    idempo::postgres_check found;
    try {
        found = idempo::check_postgres(idempo::parse_postgres_url(url));
    } catch (std::runtime_error const& error) {
        std::cerr << "charge_server: " << error.what() << std::endl;
        return;
    }
    for (auto const& warning : found.warnings()) std::cerr << "charge_server: " << warning << std::endl;
    if (!found.is_migrated()) {
        throw std::invalid_argument("the store is not prepared: start once with --migrate");
    }
}

#endif

}  // namespace

idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url,
                                 std::optional<idempo::tracer> const& trace) {
    auto store = std::apply(
        [&](auto const&... known) { return idempo::open_store(std::move(executor), url, known...); }, schemes());
    return trace ? idempo::any_store(idempo::traced(std::move(store), *trace)) : store;
}

void check_store(std::string_view url) {
#ifdef CHARGE_SERVER_HAS_POSTGRES
    if (is_postgres(url)) return check_postgres_table(url);
#endif
    boost::asio::io_context context;
    static_cast<void>(open_any_store(context.get_executor(), url));
}

std::string migrate_store(std::string_view url) {
#ifdef CHARGE_SERVER_HAS_POSTGRES
    if (is_postgres(url)) {
        auto const applied = idempo::migrate(idempo::parse_postgres_url(url));
        return applied == 0 ? "nothing to migrate" : "migrated";
    }
#endif
    check_store(url);
    return "nothing to migrate";
}
