// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <idempo/postgres/options.hpp>
#include <idempo/postgres/scheme.hpp>
#include <idempo/postgres/store.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

using namespace idempo;
using namespace std::chrono_literals;

TEST_CASE("postgres_options: a URL is libpq's, but for our parameters") {
    auto const plain = parse_postgres_url("postgresql://app:secret@db:5433/shop");
    CHECK(plain.connection == "postgresql://app:secret@db:5433/shop");
    CHECK(plain.table == "idempo_records");

    auto const ours = parse_postgres_url("postgres://db/shop?schema=payments&sslmode=require&table=keys&workers=4"
                                         "&application_name=x");
    CHECK(ours.connection == "postgres://db/shop?sslmode=require&application_name=x");
    CHECK(ours.schema == "payments");
    CHECK(ours.table == "keys");
    CHECK(ours.workers == 4);

    CHECK(parse_postgres_url("postgresql://db/shop?workers=3").connection == "postgresql://db/shop");
    CHECK(parse_postgres_url("POSTGRESQL://db/shop").connection == "postgresql://db/shop");
    CHECK(parse_postgres_url("postgresql:").connection == "postgresql://");
    CHECK(parse_postgres_url("postgresql:?table=keys&sslmode=require").connection == "postgresql://?sslmode=require");
    CHECK_THROWS_WITH(parse_postgres_url("postgresql:db/shop"), "postgres: the URL begins with postgresql://");
}

TEST_CASE("postgres_options: options that the URL does not name keep their values") {
    postgres_options others;
    others.operation_timeout = 7s;
    others.schema = "app";
    auto const options = parse_postgres_url("postgresql://db/shop?table=keys", others);
    CHECK(options.operation_timeout == 7s);
    CHECK(options.schema == "app");
}

TEST_CASE("postgres_options: nonsense is refused, and the URL not quoted") {
    for (auto const* const url : {"mysql://app:secret@db", "postgresql://app:secret@db?nonsense=secret",
                                  "postgresql://app:secret@db?workers=0", "postgresql://app:secret@db?workers=many",
                                  "postgresql://app:secret@db?workers=65", "postgresql://app:secret@db?table=",
                                  "postgresql://app:secret@db?schema=a%20b", "postgresql://app:secret@[db"}) {
        CAPTURE(url);
        try {
            static_cast<void>(parse_postgres_url(url));
            FAIL("accepted");
        } catch (std::invalid_argument const& refused) {
            CHECK(std::string(refused.what()).find("secret") == std::string::npos);
        }
    }
}

TEST_CASE("postgres_options: each limit is checked") {
    auto const refused = [](auto change) {
        postgres_options options;
        change(options);
        CHECK_THROWS_AS(validate(options), std::invalid_argument);
    };
    validate({});
    refused([](auto& options) { options.connection = "host='"; });
    refused([](auto& options) { options.table = std::string(64, 't'); });
    refused([](auto& options) { options.schema = std::string("a\0b", 3); });
    refused([](auto& options) { options.workers = 0; });
    refused([](auto& options) { options.max_pending = 0; });
    refused([](auto& options) { options.connect_timeout = 0ms; });
    refused([](auto& options) { options.operation_timeout = 2h; });
}

TEST_CASE("postgres_options: the scheme accepts its own URLs alone") {
    postgres_scheme const scheme;
    CHECK(scheme.accepts("postgresql"));
    CHECK(scheme.accepts("postgres"));
    CHECK_FALSE(scheme.accepts("redis"));
}
