// SPDX-License-Identifier: MIT
#include <idempo/stores/renewal_queue.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <vector>

namespace {

using namespace std::chrono_literals;
using queue = idempo::detail::renewal_queue;

constexpr queue::time_point start{1h};

}  // namespace

TEST_CASE("renewal queue: what is due first comes first, in whatever order it was added") {
    queue claims;
    std::vector<queue::entry> entries(5);
    CHECK_FALSE(claims.next());
    claims.add(entries[0], start + 10s);
    claims.add(entries[1], start + 20s);
    claims.add(entries[2], start + 5s);   // a shorter lease
    claims.add(entries[3], start + 20s);  // due together, in their order
    claims.add(entries[4], start + 15s);
    CHECK(claims.next() == start + 5s);

    CHECK(claims.take(start + 4s) == nullptr);
    CHECK(claims.take(start + 20s) == &entries[2]);
    CHECK(claims.take(start + 20s) == &entries[0]);
    CHECK(claims.take(start + 20s) == &entries[4]);
    CHECK(claims.next() == start + 20s);
    CHECK(claims.take(start + 20s) == &entries[1]);
    CHECK(claims.take(start + 20s) == &entries[3]);
    CHECK(claims.take(start + 20s) == nullptr);
    CHECK_FALSE(claims.next());
}

TEST_CASE("renewal queue: what is removed does not come, and may be added again") {
    queue claims;
    queue::entry first;
    queue::entry second;
    claims.remove(first);  // it is not there
    claims.add(first, start);
    claims.add(second, start + 1s);
    claims.remove(first);
    CHECK(claims.next() == start + 1s);
    claims.add(first, start + 2s);
    CHECK(claims.take(start + 2s) == &second);
    CHECK(claims.take(start + 2s) == &first);
    claims.remove(first);
}
