// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/statements/filled.hpp>

#include <string>
#include <vector>

using namespace idempo::postgres;

namespace {

std::vector<std::string> resolve(std::string const& host) {
    if (host == "two") return {"10.0.0.1", "10.0.0.2"};
    if (host == "one") return {"10.0.1.1"};
    return {};
}

std::vector<target> targets_of(target_lists const& lists) { return idempo::postgres::targets_of(lists, resolve); }

}  // namespace

TEST_CASE("postgres targets: each address of each host is tried by itself") {
    CHECK(targets_of({"two,one", "", "5432", "read-write"}) ==
          std::vector<target>{{"two", "10.0.0.1", "5432", "read-write"},
                              {"two", "10.0.0.2", "5432", "read-write"},
                              {"one", "10.0.1.1", "5432", "read-write"}});
    CHECK(targets_of({"one,two", "", "1,2", "any"}) == std::vector<target>{{"one", "10.0.1.1", "1", "any"},
                                                                           {"two", "10.0.0.1", "2", "any"},
                                                                           {"two", "10.0.0.2", "2", "any"}});
    CHECK(targets_of({"one,two", "1.1.1.1,2.2.2.2", "5432", "any"}) ==
          std::vector<target>{{"one", "1.1.1.1", "5432", "any"}, {"two", "2.2.2.2", "5432", "any"}});
    CHECK(targets_of({"", "1.1.1.1,2.2.2.2", "5432", "any"}) ==
          std::vector<target>{{"", "1.1.1.1", "5432", "any"}, {"", "2.2.2.2", "5432", "any"}});
    CHECK(targets_of({"/run/postgresql,one", "", "5432", "any"}) ==
          std::vector<target>{{"/run/postgresql", "", "5432", "any"}, {"one", "10.0.1.1", "5432", "any"}});
}

TEST_CASE("postgres targets: an unknown host is left to libpq, which says why") {
    CHECK(targets_of({"nowhere", "", "5432", "any"}) == std::vector<target>{{"nowhere", "", "5432", "any"}});
}

TEST_CASE("postgres targets: lists that do not fit together, or leave a host to libpq, are left to libpq") {
    CHECK(targets_of({"", "", "5432", "any"}).empty());
    CHECK(targets_of({"one,,two", "", "5432", "any"}).empty());
    CHECK(targets_of({"one,two", "", "1,2,3", "any"}).empty());
    CHECK(targets_of({"one,two", "1.1.1.1", "5432", "any"}).empty());
}

TEST_CASE("postgres targets: prefer-standby looks for a standby everywhere before it takes what there is") {
    CHECK(targets_of({"one,/dir", "", "5432", "prefer-standby"}) ==
          std::vector<target>{{"one", "10.0.1.1", "5432", "standby"},
                              {"/dir", "", "5432", "standby"},
                              {"one", "10.0.1.1", "5432", "any"},
                              {"/dir", "", "5432", "any"}});
}

TEST_CASE("postgres filled: what is filled in is not looked at again") {
    CHECK(filled("{a} {b} {c", {{"a", "{b}"}, {"b", "{a}"}}) == "{b} {a} {c");
    CHECK(filled("{ab}{a}", {{"a", "1"}, {"ab", "2"}}) == "21");
    CHECK(quoted_string("it's") == "'it''s'");
    CHECK(quoted_string("a\\b'") == " E'a\\\\b'''");
}
