// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <idempo/identifiers.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace idempo::postgres;
using idempo::to_hex;

TEST_CASE("postgres statements: names are quoted, and every mark is filled in") {
    CHECK(quoted_name("records") == "\"records\"");
    CHECK(quoted_name("a\"b; DROP") == "\"a\"\"b; DROP\"");
    statements const sql(quoted_name("my{schema") + "." + quoted_name("table"), std::chrono::milliseconds(250));
    for (auto const& text :
         {sql.claim.plain, sql.claim.remembering, sql.claim_without_takeover.plain, sql.claim_parked.remembering,
          sql.complete.many, sql.complete.one, sql.renew, sql.park, sql.settle, sql.free, sql.abandon, sql.forget}) {
        CAPTURE(text);
        CHECK(text.find("\"my{schema\".\"table\"") != std::string::npos);
        CHECK(text.find("'lock_timeout', '250', true") != std::string::npos);
        CHECK(text.find("'synchronous_commit'") != std::string::npos);
        CHECK(text.find('}') == std::string::npos);
    }
    for (auto const& text : {sql.read, sql.fetch, sql.peek}) CHECK(text.find('}') == std::string::npos);
    std::string const only_without_attempt = "record.attempt OPERATOR(pg_catalog.=) 0";
    CHECK(sql.claim.plain.find(only_without_attempt) == std::string::npos);
    CHECK(sql.claim_without_takeover.plain.find(only_without_attempt) != std::string::npos);
    std::string const marks = "\"my{schema\".\"table_marks\"";
    for (auto const& text : {sql.claim.remembering, sql.free, sql.forget}) CHECK(text.find(marks) != std::string::npos);
    for (auto const& text : {sql.claim.plain, sql.complete.one}) CHECK(text.find(marks) == std::string::npos);
    for (auto const& text : {sql.claim.plain, sql.claim_without_takeover.plain}) {
        CHECK(text.find("record.parked IS NULL") != std::string::npos);
    }
}

TEST_CASE("postgres binary_parameters: bytes, numbers and arrays in the server's binary format") {
    binary_parameters parameters;
    parameters.add(std::string_view("a\0b", 3));
    parameters.add(std::int64_t{-2});
    parameters.add_array(std::vector<std::string_view>{"xy", ""});
    parameters.add_array(std::vector<std::int64_t>{1});
    REQUIRE(parameters.values().size() == 4);
    CHECK(parameters.values()[0] == std::string("a\0b", 3));
    CHECK(to_hex(parameters.values()[1]) == "fffffffffffffffe");
    // dimensions, has_null, element type, size, lower bound; then each element behind its length
    CHECK(to_hex(parameters.values()[2]) == "0000000100000000000000110000000200000001"
                                            "00000002787900000000");
    CHECK(to_hex(parameters.values()[3]) == "0000000100000000000000140000000100000001"
                                            "000000080000000000000001");
}

TEST_CASE("postgres sqlstate: what ends a connection and what is worth another attempt") {
    for (auto const* const code : {"57P01", "57P02", "57P03", "08006", "08P01", "25006"}) {
        CHECK(sqlstate::ends_connection(code));
    }
    for (auto const* const code : {"40001", "40P01", "55P03", "42P01", "53100", "57014"}) {
        CHECK_FALSE(sqlstate::ends_connection(code));
    }
    CHECK(sqlstate::is_transient("40001"));
    CHECK(sqlstate::is_transient("40P01"));
    CHECK_FALSE(sqlstate::is_transient("55P03"));
}
