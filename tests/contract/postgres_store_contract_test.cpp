// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/idle_context.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/patience.hpp"
#include "support/pgbouncer.hpp"
#include "support/postgres_server.hpp"

#include <idempo/postgres/store.hpp>
#include <idempo/store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

static_assert(idempo::async_renewable_store<idempo::postgres_store>);
static_assert(idempo::renewable_store<inspectable_postgres>);
static_assert(idempo::inspectable_store<inspectable_postgres>);

/// The contract, with all records in one server.
class postgres_fixture {
public:
    explicit postgres_fixture(std::string connection, std::size_t workers = 2)
        : store_(options(std::move(connection), workers)) {}

    inspectable_postgres store() { return store_; }

    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 100ms; }

private:
    static idempo::postgres_options options(std::string connection, std::size_t workers) {
        idempo::postgres_options options;
        options.connection = std::move(connection);
        options.workers = workers;
        return with_patience(std::move(options));
    }

    inspectable_postgres store_;
};

// Each line of the contract makes the fixture anew, but the server is the same: keys are never used again.
postgres_server& shared_server() {
    static postgres_server server;
    return server;
}

}  // namespace

TEST_CASE("postgres_store: keeps the contract") {
    auto const workers = GENERATE(as<std::size_t>{}, 1, 4);
    postgres_fixture fixture(shared_server().connection(), workers);
    idempo::testing::store_contract(fixture);
}

TEST_CASE("postgres_store: keeps the contract through pgbouncer, which pools transactions") {
    static pgbouncer pooler(shared_server(), 2);
    postgres_fixture fixture(pooler.connection(), 4);
    idempo::testing::store_contract(fixture);
}

TEST_CASE("postgres_store: keeps the contract where the server's default is repeatable read") {
    static postgres_server server({"default_transaction_isolation='repeatable read'"});
    postgres_fixture fixture(server.connection());
    idempo::testing::store_contract(fixture);
}

TEST_CASE("postgres_store: keeps the contract where the server's default is serializable") {
    static postgres_server server({"default_transaction_isolation='serializable'"});
    postgres_fixture fixture(server.connection());
    idempo::testing::store_contract(fixture);
}

TEST_CASE("postgres_store: the handler's own executor is kept at work until it is called") {
    boost::asio::thread_pool threads(1);
    idempo::postgres_options options;
    options.connection = shared_server().connection();
    idempo::postgres_store store(threads.get_executor(), with_patience(std::move(options)));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_claim({}, std::move(handler)); }));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_abandon({}, {}, std::move(handler)); }));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_list({}, std::move(handler)); }));
    threads.stop();
    threads.join();
}
