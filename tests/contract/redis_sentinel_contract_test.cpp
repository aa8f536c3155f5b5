// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/redis_contract_fixture.hpp"
#include "support/redis_sentinel.hpp"

#include <idempo/redis/options.hpp>
#include <idempo/redis/url.hpp>
#include <idempo/testing/store_contract.hpp>

using namespace idempo::tests;

TEST_CASE("redis_store: keeps the contract with a primary that sentinels name") {
    static sentinel_scene scene;  // for all lines of the contract: to start nine servers takes longer than most of them
    static sentinel_scene full_scene({.replicas = 0});
    scene.server(0).ask({"FLUSHALL"});
    redis_contract_fixture fixture(idempo::parse_redis_url(scene.url()), full_scene.server(0),
                                   idempo::parse_redis_url(full_scene.url()));
    idempo::testing::store_contract(fixture);
}
