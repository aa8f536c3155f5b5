// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_cluster_scene.hpp"
#include "support/redis_contract_fixture.hpp"

#include <idempo/testing/store_contract.hpp>

using namespace idempo::tests;

TEST_CASE("redis_store: keeps the contract over a cluster of three primaries and three replicas") {
    // Once for all sections: a cluster needs seconds to begin.
    static redis_cluster cluster;
    static redis_cluster full_cluster({.primaries = 1, .replicas_each = 0});
    redis_contract_fixture fixture(cluster_options(cluster), full_cluster[0], cluster_options(full_cluster));
    idempo::testing::store_contract(fixture);
}
