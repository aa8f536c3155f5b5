// SPDX-License-Identifier: MIT
#include <idempo/redis/protocol/slot_map.hpp>

#include "support/catch.hpp"
#include <idempo/redis/protocol/resp_codec.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

using namespace idempo::redis;
using idempo::redis_endpoint;

namespace {

redis_endpoint const asked{.host = "10.0.0.1", .port = 7000};

std::string number(long long value) { return ':' + std::to_string(value) + "\r\n"; }
std::string text(std::string const& value) { return '$' + std::to_string(value.size()) + "\r\n" + value + "\r\n"; }
std::string array(std::vector<std::string> const& elements) {
    auto all = '*' + std::to_string(elements.size()) + "\r\n";
    for (auto const& each : elements) all += each;
    return all;
}
std::string const nil = "$-1\r\n";

/// As Redis 7 writes one: with an id, and more about the address.
std::string node(std::string const& host, long long port) {
    return array({host == "nil" ? nil : text(host), number(port), text("id"), array({text("ip"), text("10.0.0.9")})});
}

std::string range(long long first, long long last, std::vector<std::string> const& nodes) {
    std::vector<std::string> all{number(first), number(last)};
    all.insert(all.end(), nodes.begin(), nodes.end());
    return array(all);
}

std::optional<slot_map> read(std::string const& bytes) {
    reply_reader reader(slot_map::max_array_elements);
    reader.feed(bytes);
    auto const found = reader.next();
    REQUIRE(found);
    return slot_map::read(reply_view(found.get()), asked);
}

/// The port of the slot's primary, or 0.
unsigned port_of(slot_map const& map, unsigned slot) {
    auto const primary = map.primary_of(static_cast<std::uint16_t>(slot));
    return primary ? map.primaries()[*primary].port : 0U;
}

}  // namespace

TEST_CASE("slot_map: each slot has the primary of its range") {
    auto const map =
        read(array({range(0, 5460, {node("10.0.0.1", 7001), node("10.0.0.4", 7004)}),
                    range(5461, 10922, {node("10.0.0.2", 7002)}), range(10923, 16382, {node("10.0.0.1", 7001)}),
                    range(16383, 16383, {node("10.0.0.3", 7003), node("10.0.0.4", 7004)})}));
    REQUIRE(map);
    CHECK(port_of(*map, 0) == 7001);
    CHECK(port_of(*map, 5460) == 7001);
    CHECK(port_of(*map, 5461) == 7002);
    CHECK(port_of(*map, 10922) == 7002);
    CHECK(port_of(*map, 10923) == 7001);
    CHECK(port_of(*map, 16383) == 7003);
    CHECK(map->is_complete());
    CHECK(map->primaries() == std::vector<redis_endpoint>{{"10.0.0.1", 7001}, {"10.0.0.2", 7002}, {"10.0.0.3", 7003}});
    CHECK(map->replicas() == std::vector<redis_endpoint>{{"10.0.0.4", 7004}});
}

TEST_CASE("slot_map: a node without a host is where the question was asked") {
    auto const host = GENERATE(as<std::string>{}, "nil", "");
    auto const map = read(array({range(0, 16383, {node(host, 7001), node(host, 7002)})}));
    REQUIRE(map);
    CHECK(map->primaries() == std::vector<redis_endpoint>{{"10.0.0.1", 7001}});
    CHECK(map->replicas() == std::vector<redis_endpoint>{{"10.0.0.1", 7002}});
}

TEST_CASE("slot_map: a slot without a reachable primary is not covered") {
    auto const without_name = node("?", 7001);
    auto const without_port = node("10.0.0.2", 0);
    auto const map = read(array({range(0, 99, {without_name, node("10.0.0.3", 7003)}), range(100, 199, {without_port}),
                                 range(300, 301, {node("10.0.0.4", 7004)})}));
    REQUIRE(map);
    CHECK(map->covered() == 2);
    CHECK_FALSE(map->is_complete());
    for (unsigned const slot : {0U, 99U, 100U, 199U, 200U, 299U, 302U, 16383U}) CHECK(port_of(*map, slot) == 0);
    CHECK(port_of(*map, 300) == 7004);
    CHECK(read("*0\r\n")->covered() == 0);
}

TEST_CASE("slot_map: the first slots of the primaries lead to each of them once") {
    auto const map =
        read(array({range(10, 99, {node("10.0.0.1", 7001)}), range(100, 199, {node("10.0.0.2", 7002)}),
                    range(300, 399, {node("10.0.0.1", 7001)}), range(16383, 16383, {node("10.0.0.3", 7003)})}));
    REQUIRE(map);
    std::vector<unsigned> ports;
    for (auto slot = map->next_primary(0); slot; slot = map->next_primary(static_cast<std::uint16_t>(*slot + 1))) {
        ports.push_back(port_of(*map, *slot));
    }
    CHECK(ports == std::vector<unsigned>{7001, 7002, 7003});
}

TEST_CASE("slot_map: as many ranges as there are slots") {
    std::vector<std::string> ranges;
    for (long long slot = 0; slot < 16384; ++slot)
        ranges.push_back(range(slot, slot, {node("10.0.0.1", 7000 + slot % 3)}));
    auto const map = read(array(ranges));
    REQUIRE(map);
    CHECK(map->is_complete());
    CHECK(port_of(*map, 16382) == 7002);
}

TEST_CASE("slot_map: an answer that makes no sense is none") {
    auto const good = node("10.0.0.1", 7001);
    auto const bytes = GENERATE_COPY(values<std::string>({
        ":1\r\n",
        "+OK\r\n",
        "$-1\r\n",
        "$3\r\n0 1\r\n",
        array({number(1)}),                            // no range
        array({array({})}),                            //
        array({array({number(0), number(1)})}),        // nobody
        array({array({text("0"), number(1), good})}),  // no numbers
        array({array({number(0), nil, good})}),        //
        array({range(-1, 1, {good})}),
        array({range(2, 1, {good})}),  // no slots
        array({range(0, 16384, {good})}),
        array({range(0, 1LL << 40, {good})}),                             //
        array({range(0, 16384, {node("?", 7001)})}),                      //
        array({range(0, 9, {good}), range(9, 10, {good})}),               // twice
        array({range(0, 1, {text("10.0.0.1")})}),                         // no nodes
        array({range(0, 1, {array({text("10.0.0.1")})})}),                //
        array({range(0, 1, {array({number(1), number(7001)})})}),         //
        array({range(0, 1, {array({text("10.0.0.1"), text("7001")})})}),  //
        array({range(0, 1, {node("10.0.0.1", -1)})}),
        array({range(0, 1, {node("10.0.0.1", 65536)})}),
        array({range(0, 1, {good, number(1)})}),  // a replica that is none
    }));
    CAPTURE(bytes);
    CHECK_FALSE(read(bytes));
}

TEST_CASE("slot_map: more nodes than a cluster can have are none") {
    std::vector<std::string> nodes;
    for (long long port = 1; port <= 4097; ++port) nodes.push_back(node("10.0.0.1", port));
    CHECK_FALSE(read(array({range(0, 16383, nodes)})));
    nodes.pop_back();
    CHECK(read(array({range(0, 16383, nodes)})));
}
