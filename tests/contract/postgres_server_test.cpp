// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/postgres_server.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

using idempo::tests::postgres_server;

namespace {

/// The ids of all System V segments of the machine.
std::set<int> segments() {
    std::ifstream table("/proc/sysvipc/shm");
    std::set<int> found;
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
        std::istringstream columns(line);
        long key = 0;
        int id = 0;
        if (columns >> key >> id) found.insert(id);
    }
    return found;
}

}  // namespace

TEST_CASE("postgres: a server of the tests leaves no shared memory behind", "[postgres]") {
    int segment = -1;
    {
        postgres_server server;
        segment = server.shared_memory();
        REQUIRE(segments().count(segment) == 1);
        server.kill();
        CHECK(segments().count(segment) == 1);
    }
    CHECK(segments().count(segment) == 0);
}
