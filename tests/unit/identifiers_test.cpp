// SPDX-License-Identifier: MIT
#include <idempo/identifiers.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using idempo::fencing_token;
using idempo::make_fencing_token;
using idempo::to_hex;

TEST_CASE("identifiers: tokens differ, within a thread and between threads") {
    constexpr std::size_t threads = 4;
    constexpr std::size_t each = 1000;
    std::array<std::vector<fencing_token>, threads> made;
    {
        std::vector<std::jthread> running;
        for (auto& tokens : made) {
            running.emplace_back([&tokens] {
                for (std::size_t i = 0; i < each; ++i) tokens.push_back(make_fencing_token());
            });
        }
    }
    std::set<fencing_token> distinct;
    for (auto const& tokens : made) distinct.insert(tokens.begin(), tokens.end());
    CHECK(distinct.size() == threads * each);
    CHECK(distinct.count(fencing_token{}) == 0);
}

TEST_CASE("identifiers: every bit of a token is random") {
    std::array<int, 128> ones{};
    constexpr int samples = 4000;
    for (int i = 0; i < samples; ++i) {
        auto const made = make_fencing_token();
        for (std::size_t bit = 0; bit < ones.size(); ++bit) ones[bit] += (made.bytes[bit / 8] >> (bit % 8)) & 1;
    }
    // 8 standard deviations: a sound generator fails this once in 10^13 runs.
    for (int const count : ones) CHECK(std::abs(count - samples / 2) < 256);
}

TEST_CASE("identifiers: a forked child makes tokens of its own") {
    static_cast<void>(make_fencing_token());  // what remains of the block is copied to the child
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    auto const child = fork();
    REQUIRE(child >= 0);
    constexpr std::size_t count = 40;
    if (child == 0) {
        for (std::size_t i = 0; i < count; ++i) {
            auto const made = make_fencing_token();
            if (write(ends[1], made.bytes.data(), made.bytes.size()) < 0) _exit(1);
        }
        _exit(0);
    }
    std::set<fencing_token> distinct;
    for (std::size_t i = 0; i < count; ++i) {
        distinct.insert(make_fencing_token());
        fencing_token other;
        REQUIRE(read(ends[0], other.bytes.data(), other.bytes.size()) == 16);
        distinct.insert(other);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(distinct.size() == 2 * count);
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("identifiers: to_hex writes two lower-case digits a byte") {
    CHECK(to_hex("").empty());
    CHECK(to_hex(std::string_view("\x00\x0f\xa5\xff", 4)) == "000fa5ff");
    CHECK(to_hex(make_fencing_token().view()).size() == 32);
    std::string text = "key ";
    idempo::append_hex(text, "\x1f");
    CHECK(text == "key 1f");
}
