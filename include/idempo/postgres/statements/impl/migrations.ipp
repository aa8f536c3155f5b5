// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/statements/migrations.hpp>

#include <array>

namespace idempo::postgres {

namespace {

constexpr std::array embedded_migrations{
    migration{
        1,
        R"sql(-- One row for each idempotency key. It is in flight while it has no response, and as good as absent once it has expired.
-- No column that changes has an index, so that a changed row stays in its page (HOT), for which the fillfactor leaves
-- room. Responses are kept uncompressed: most are small or compressed already.
CREATE TABLE {table} (
    key pg_catalog.bytea PRIMARY KEY,
    token pg_catalog.bytea NOT NULL,
    fingerprint pg_catalog.bytea NOT NULL,
    attempt integer NOT NULL,
    lease_until pg_catalog.timestamptz NOT NULL,
    expires_at pg_catalog.timestamptz NOT NULL,
    response pg_catalog.bytea
) WITH (fillfactor = 80);
ALTER TABLE {table} ALTER COLUMN response SET STORAGE EXTERNAL;
)sql"},
    migration{
        2,
        R"sql(-- What the attempts of a record in flight have kept, and why nobody runs it again, while its lease has ended.
ALTER TABLE {table} ADD COLUMN steps pg_catalog.bytea, ADD COLUMN parked pg_catalog.bytea;
ALTER TABLE {table} ALTER COLUMN steps SET STORAGE EXTERNAL;
)sql"},
    migration{
        3,
        R"sql(-- For how many milliseconds a used key is remembered when its record has expired, and the marks of those that have
-- been swept: the first half of the key, which is a digest.
ALTER TABLE {table} ADD COLUMN remember pg_catalog.int8;
CREATE TABLE {marks} (until pg_catalog.timestamptz NOT NULL, key_prefix pg_catalog.bytea PRIMARY KEY);
)sql"},
};

}  // namespace

std::span<migration const> migrations() { return embedded_migrations; }

}  // namespace idempo::postgres
