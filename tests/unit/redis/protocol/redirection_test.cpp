// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/protocol/redirection.hpp>

#include <string_view>

using idempo::redis::read_redirection;
using idempo::redis::redirection;

TEST_CASE("redirection: replies of cluster nodes") {
    auto const moved = read_redirection("MOVED 3999 127.0.0.1:6381");
    REQUIRE(moved);
    CHECK(moved->why == redirection::kind::moved);
    CHECK(moved->slot == 3999);
    CHECK(moved->to == idempo::redis_endpoint{"127.0.0.1", 6381});

    auto const asked = read_redirection("ASK 16383 node.internal:1");
    REQUIRE(asked);
    CHECK(asked->why == redirection::kind::ask);
    CHECK(asked->slot == 16383);
    CHECK(asked->to == idempo::redis_endpoint{"node.internal", 1});

    CHECK(read_redirection("MOVED 1 ::1:6381")->to == idempo::redis_endpoint{"::1", 6381});
    CHECK(read_redirection("MOVED 1 :6381")->to == idempo::redis_endpoint{"", 6381});
}

TEST_CASE("redirection: other replies") {
    for (std::string_view const text : {"",
                                        "MOVED",
                                        "MOVED ",
                                        "MOVED 1",
                                        "MOVED 1 ",
                                        "MOVED 1 host",
                                        "MOVED 1 host:",
                                        "MOVED 1 host:0",
                                        "MOVED 1 host:65536",
                                        "MOVED 1 host:-1",
                                        "MOVED 16384 host:1",
                                        "MOVED -1 host:1",
                                        "MOVED one host:1",
                                        "MOVED 1:2 3",
                                        "MOVED  1 host:1",
                                        "moved 1 host:1",
                                        "ASKING 1 host:1",
                                        "TRYAGAIN Multiple keys",
                                        "CLUSTERDOWN Hash slot not served",
                                        "READONLY"}) {
        CAPTURE(text);
        CHECK_FALSE(read_redirection(text));
    }
}
