// SPDX-License-Identifier: MIT
#include <idempo/detail/target.hpp>

#include "support/catch.hpp"

#include <string>

using idempo::detail::split_target;

TEST_CASE("target: every form has the same parts", "[target]") {
    auto const [target, host, authority, path, query] =
        GENERATE(table<std::string, std::string, std::string, std::string, std::string>({
            {"/a?b", "shop.example", "shop.example", "/a", "?b"},
            {"/a", "shop.example:80", "shop.example", "/a", ""},
            {"/a", "shop.example:443", "shop.example", "/a", ""},
            {"/a", "shop.example:", "shop.example", "/a", ""},
            {"/a", "shop.example:8080", "shop.example:8080", "/a", ""},
            {"/a", "[::1]:80", "[::1]", "/a", ""},
            {"/a", "[::80]", "[::80]", "/a", ""},
            {"/a", "", "", "/a", ""},
            {"http://other.example/a?b", "shop.example", "other.example", "/a", "?b"},
            {"HTTPS://other.example:443/a", "shop.example", "other.example", "/a", ""},
            {"http://other.example", "shop.example", "other.example", "/", ""},
            {"http://other.example?b", "shop.example", "other.example", "/", "?b"},
            {"http://other.example/?b", "shop.example", "other.example", "/", "?b"},
            {"*", "shop.example", "shop.example", "*", ""},
            {"/a?b?c", "h", "h", "/a", "?b?c"},
            {"/http://x/y", "h", "h", "/http://x/y", ""},
        }));
    INFO(target << " at " << host);
    auto const parts = split_target(target, host);
    CHECK(parts.authority == authority);
    CHECK(parts.path == path);
    CHECK(parts.query == query);
}
