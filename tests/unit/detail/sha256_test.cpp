// SPDX-License-Identifier: MIT
#include <idempo/detail/sha256.hpp>
#include <idempo/identifiers.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using idempo::detail::sha256;

namespace {

std::string hex(std::array<unsigned char, 32> const& digest) {
    return idempo::to_hex(idempo::store_key{digest}.view());
}

std::string hash_of(std::string_view bytes) { return hex(sha256().raw(bytes).finish()); }

std::string hash_of_parts(std::vector<std::string> const& parts) {
    sha256 hash;
    for (auto const& part : parts) hash.part(part);
    return hex(hash.finish());
}

constexpr auto hash_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr auto hash_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

}  // namespace

TEST_CASE("sha256: known digests", "[sha256]") {
    SECTION("nothing") { CHECK(hash_of("") == hash_of_nothing); }
    SECTION("one block") { CHECK(hash_of("abc") == hash_of_abc); }
    SECTION("two blocks") {
        CHECK(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    SECTION("a million letters") {
        CHECK(hash_of(std::string(1'000'000, 'a')) ==
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}

TEST_CASE("sha256: pieces of any size give the digest of the whole", "[sha256]") {
    std::string const whole(1'000, 'x');
    auto const expected = hash_of(whole);
    for (std::size_t size : {1U, 3U, 64U, 255U, 256U, 257U, 300U, 512U, 999U}) {
        sha256 hash;
        for (std::size_t at = 0; at < whole.size(); at += size) hash.raw(std::string_view(whole).substr(at, size));
        CAPTURE(size);
        CHECK(hex(hash.finish()) == expected);
    }
}

TEST_CASE("sha256: pieces around the size that is gathered give the digest of the whole", "[sha256]") {
    for (std::size_t first = 250; first < 262; ++first) {
        for (std::size_t second : {0U, 1U, 6U, 255U, 256U, 257U}) {
            CAPTURE(first, second);
            CHECK(hex(sha256().raw(std::string(first, 'a')).raw(std::string(second, 'b')).finish()) ==
                  hash_of(std::string(first, 'a') + std::string(second, 'b')));
        }
    }
}

TEST_CASE("sha256: a part is its length and its bytes", "[sha256]") {
    using namespace std::string_literals;
    CHECK(hash_of_parts({"abc"}) == hash_of("\x03"
                                            "abc"s));
    CHECK(hash_of_parts({std::string(0x7F, 'x')}) == hash_of("\x7F"s + std::string(0x7F, 'x')));
    CHECK(hash_of_parts({std::string(0x80, 'x')}) == hash_of("\x80\x01"s + std::string(0x80, 'x')));
    CHECK(hash_of_parts({std::string(0x1234, 'x')}) == hash_of("\xB4\x24"s + std::string(0x1234, 'x')));
    CHECK(hex(sha256().part_size(3).raw("a").raw("bc").finish()) == hash_of_parts({"abc"}));
    CHECK(hex(sha256().part_size(0xFFFFFFFFFFFFFFFF).finish()) == hash_of("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s));
}

TEST_CASE("sha256: a length is the same whether it is gathered or has to wait for room", "[sha256]") {
    for (std::size_t before = 250; before <= 260; ++before) {
        for (std::uint64_t const size : {0ULL, 1ULL, 127ULL, 128ULL, 16384ULL}) {
            std::string whole(before, 'x');
            for (auto rest = size;; rest >>= 7U) {
                whole += static_cast<char>((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
                if (rest <= 0x7F) break;
            }
            sha256 in_parts;
            for (std::size_t i = 0; i < before; ++i) in_parts.raw("x");
            CHECK(in_parts.part_size(size).finish() == sha256().raw(whole).finish());
        }
    }
}

TEST_CASE("sha256: other boundaries give another digest", "[sha256]") {
    std::vector<std::vector<std::string>> const splits{
        {"abc"}, {"ab", "c"}, {"a", "bc"}, {"a", "b", "c"}, {"", "abc"}, {"abc", ""}, {"", "", "abc"}, {},
    };
    for (std::size_t i = 0; i < splits.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            CAPTURE(i, j);
            CHECK(hash_of_parts(splits[i]) != hash_of_parts(splits[j]));
        }
}

TEST_CASE("sha256: several live on one thread do not disturb each other", "[sha256]") {
    std::string const large(500, 'x');
    sha256 outer;
    outer.raw(large);
    {
        sha256 inner;
        inner.raw(large).raw("abc");
        CHECK(hash_of("abc") == hash_of_abc);
        outer.raw(large);
        CHECK(hex(inner.finish()) == hash_of(large + "abc"));
    }
    CHECK(hash_of(large) == hash_of(std::string(500, 'x')));
    CHECK(hex(outer.finish()) == hash_of(large + large));
}

TEST_CASE("sha256: an unfinished digest leaves nothing behind", "[sha256]") {
    { sha256().raw(std::string(1'000, 'x')); }
    CHECK(hash_of("abc") == hash_of_abc);
}

TEST_CASE("sha256: one may be finished and destroyed on another thread", "[sha256]") {
    auto hash = std::make_unique<sha256>();
    hash->raw(std::string(500, 'x'));
    std::string digest;
    std::thread([&digest, moved = std::move(hash)]() mutable {
        digest = hex(moved->finish());
        moved.reset();
    }).join();
    CHECK(digest == hash_of(std::string(500, 'x')));
}
