// SPDX-License-Identifier: MIT

// What `sealed` promises over a store that other processes share. tests/unit/stores/sealed_test.cpp has the rest.

#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/inspectable_redis.hpp"
#include "support/patience.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"

#include <idempo/store.hpp>
#include <idempo/stores/sealed.hpp>
#include <idempo/testing/store_contract.hpp>

#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;

/// The contract over a real server. Its records are as large as their seals make them, so there is no full one.
template <class Inner>
class sealed_server_fixture {
public:
    template <class Options>
    explicit sealed_server_fixture(Options const& options)
        : store_(Inner(options), {.keys = {{1, std::string(32, 's')}}}) {}

    idempo::sealed_store<Inner> store() { return store_; }
    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 100ms; }

private:
    idempo::sealed_store<Inner> store_;
};

static_assert(idempo::checkpointing_store<idempo::sealed_store<inspectable_redis>>);
static_assert(idempo::parking_store<idempo::sealed_store<inspectable_postgres>>);

}  // namespace

TEST_CASE("sealed: keeps the contract over Redis") {
    redis_server server;
    idempo::redis_options options;
    options.port = server.port();
    sealed_server_fixture<inspectable_redis> fixture(with_patience(options));
    idempo::testing::store_contract(fixture);
}

TEST_CASE("sealed: keeps the contract over PostgreSQL") {
    postgres_server server;
    idempo::postgres_options options;
    options.connection = server.connection();
    sealed_server_fixture<inspectable_postgres> fixture(with_patience(options));
    idempo::testing::store_contract(fixture);
}
