// SPDX-License-Identifier: MIT
#include <idempo/detail/hmac_sha256.hpp>

#include <idempo/identifiers.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using idempo::detail::hmac_key;
using idempo::detail::hmac_sha256;

std::string hex(std::array<unsigned char, 32> const& digest) {
    return idempo::to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()});
}

std::string hmac_of(hmac_key const& key, std::string_view message, std::size_t piece = 1000) {
    hmac_sha256 mac(key);
    for (; !message.empty(); message.remove_prefix(std::min(piece, message.size()))) {
        mac.update(message.substr(0, piece));
    }
    return hex(mac.finish());
}

std::string const jefe = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
constexpr std::string_view what = "what do ya want for nothing?";

}  // namespace

TEST_CASE("hmac_sha256: the vectors of RFC 4231") {
    CHECK(hmac_of(hmac_key(std::string(20, '\x0b')), "Hi There") ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(hmac_of(hmac_key("Jefe"), what) == jefe);
    CHECK(hmac_of(hmac_key(std::string(20, '\xaa')), std::string(50, '\xdd')) ==
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_key const longer_than_a_block(std::string(131, '\xaa'));
    CHECK(hmac_of(longer_than_a_block, "Test Using Larger Than Block-Size Key - Hash Key First") ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(hmac_of(longer_than_a_block,
                  "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
                  "to be hashed before being used by the HMAC algorithm.") ==
          "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST_CASE("hmac_sha256: pieces of any size, and more than is gathered, give the same") {
    hmac_key const key("Jefe");
    for (std::size_t piece = 1; piece <= what.size(); ++piece) CHECK(hmac_of(key, what, piece) == jefe);
    std::string const large(5000, 'x');
    auto const whole = hmac_of(key, large, large.size());
    for (std::size_t const piece : {1, 63, 64, 255, 256, 257, 4999}) CHECK(hmac_of(key, large, piece) == whole);
    CHECK(hmac_of(key, "") == hmac_of(hmac_key("Jefe"), ""));
}

TEST_CASE("hmac_sha256: a copy of a key outlives it, and keys are compared by their secrets") {
    std::optional<hmac_key> original("Jefe");
    hmac_key const copy = *original;
    CHECK(copy == *original);
    CHECK_FALSE(copy == hmac_key("jefe"));
    original.reset();
    CHECK(hmac_of(copy, what) == jefe);
}

TEST_CASE("hmac_sha256: several live on one thread, and a key serves many threads") {
    hmac_key const key("Jefe");
    hmac_sha256 first(key);
    first.update(what);
    hmac_sha256 second(key);
    second.update("another");
    CHECK(hex(first.finish()) == jefe);
    CHECK(hex(second.finish()) == hmac_of(key, "another"));

    std::vector<std::string> found(4);
    std::vector<std::thread> threads;
    for (auto& each : found) {
        threads.emplace_back([&each, &key] {
            for (int round = 0; round < 1000; ++round) {
                each = hmac_of(key, what, 5);
                if (each != jefe) return;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (auto const& each : found) CHECK(each == jefe);
}
