// SPDX-License-Identifier: MIT
#include "idempoctl/store_link.hpp"

#include "idempoctl/outcome.hpp"

#include <idempo/stores/open_store.hpp>
#include <idempo/stores/sealed.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <stdexcept>
#include <tuple>

#ifdef IDEMPOCTL_HAS_REDIS
#include <idempo/redis/scheme.hpp>
#endif
#ifdef IDEMPOCTL_HAS_POSTGRES
#include <idempo/postgres/scheme.hpp>
#endif

namespace idempoctl {

namespace {

using report_ptr = std::shared_ptr<server_report>;

#ifdef IDEMPOCTL_HAS_REDIS
auto tell_redis(report_ptr report) {
    return [report = std::move(report)](idempo::redis_event const& event) {
        if (event.problem == idempo::redis_problem::none) {
            auto const& server = event.server;
            return report->tell_facts(
                "Redis " + std::to_string(server.major) + "." + std::to_string(server.minor) + "." +
                    std::to_string(server.patch) + ", maxmemory-policy " + server.eviction_policy +
                    (server.has_append_only_file ? ", append-only file on"
                                                 : ", no append-only file: what it knows is lost when it restarts"),
                server.eviction_policy != "noeviction");
        }
        std::string sentence(to_string(event.problem));
        if (!event.words.empty()) sentence += " (" + event.words + ")";
        if (event.error) sentence += " (" + event.error.message() + ")";
        report->tell_problem(std::move(sentence));
    };
}
#endif

#ifdef IDEMPOCTL_HAS_POSTGRES
auto tell_postgres(report_ptr report) {
    return [report = std::move(report)](idempo::postgres_event const& event) {
        if (event.problem == idempo::postgres_problem::none) return;
        constexpr std::string_view insufficient_privilege = "42501";
        constexpr std::string_view undefined_table = "42P01";
        std::string sentence(to_string(event.problem));
        if (!event.sqlstate.empty()) sentence += " (SQLSTATE " + event.sqlstate + ")";
        if (event.sqlstate == insufficient_privilege) sentence += ": the role lacks a right; `check` names it";
        if (event.sqlstate == undefined_table) sentence += ": there is no such table; `check` says more";
        if (!event.detail.empty()) sentence += ": " + event.detail;
        report->tell_problem(std::move(sentence));
    };
}
#endif

/// A person rather waits than tries again.
[[maybe_unused]] constexpr std::chrono::seconds patience{30};

/// Those that this program was built with.
auto schemes([[maybe_unused]] report_ptr const& report) {
    return std::tuple_cat(
#ifdef IDEMPOCTL_HAS_REDIS
        // Looking at records does no harm where they may be evicted; `check` says that they may.
        std::tuple(idempo::redis_scheme{.others = {.allow_eviction = true, .observer = tell_redis(report)}}),
#endif
#ifdef IDEMPOCTL_HAS_POSTGRES
        std::tuple(idempo::postgres_scheme{
            .others = {.workers = 1, .operation_timeout = patience, .observer = tell_postgres(report)}}),
#endif
        std::tuple());
}

/// Records that are not sealed are shown, too: a service may be about to introduce sealing.
idempo::any_store with_seal(idempo::any_store store, std::vector<idempo::seal_key> keys) {
    return idempo::any_store(idempo::sealed(std::move(store), {.keys = std::move(keys), .reads_unsealed = true}));
}

}  // namespace

void server_report::tell_problem(std::string sentence) {
    std::lock_guard const lock(mutex_);
    problem_ = std::move(sentence);
}

void server_report::tell_facts(std::string facts, bool may_evict) {
    std::lock_guard const lock(mutex_);
    facts_ = std::move(facts);
    may_evict_ = may_evict;
}

bool server_report::may_evict() const {
    std::lock_guard const lock(mutex_);
    return may_evict_;
}

std::string server_report::problem() const {
    std::lock_guard const lock(mutex_);
    return problem_;
}

std::string server_report::facts() const {
    std::lock_guard const lock(mutex_);
    return facts_;
}

store_link open_link(std::string const& url, std::vector<idempo::seal_key> seal_keys) {
    auto report = std::make_shared<server_report>();
    try {
        if (idempo::url_scheme(url) == "memory") {
            throw std::invalid_argument("a memory store can be reached in its own process only");
        }
        auto const open = [&](boost::asio::any_io_executor executor) {
            auto opened =
                std::apply([&](auto const&... known) { return idempo::open_store(std::move(executor), url, known...); },
                           schemes(report));
            return seal_keys.empty() ? opened : with_seal(std::move(opened), seal_keys);
        };
        return {url, report, operated_store(open)};
    } catch (std::invalid_argument const& error) {
        throw failure(exit_code::wrong_usage, "the URL of the store: " + std::string(error.what()));
    }
}

void require(store_link const& link, idempo::error_code error) {
    if (!error) return;
    auto const problem = link.report->problem();
    throw failure(exit_code::failed, error.message() + (problem.empty() ? "" : ": " + problem));
}

}  // namespace idempoctl
