// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/transaction/transaction_fsm.hpp>

#include <chrono>
#include <cstddef>
#include <string>

using namespace idempo::postgres;
using namespace std::chrono_literals;
using seen = doubt_fsm::seen;

TEST_CASE("postgres transaction_fsm: what the answer to the message with the record means") {
    auto const [succeeded, sqlstate, after] =
        GENERATE(Catch::Generators::table<std::size_t, std::string, after_ending>({
            {11, "", after_ending::give_back},           // with what resets the session
            {3, "55P03", after_ending::drop},            // COMMIT has succeeded, the reset has not
            {4, "57P01", after_ending::drop},            //
            {1, "22012", after_ending::look_for_rival},  // the record of another request is there
            {1, "40001", after_ending::look_for_rival},  // the same, where the isolation is stricter
            {2, "40001", after_ending::look_for_rival},  //
            {0, "25P02", after_ending::refuse},          // the handler went on after a statement that failed
            {0, "25P01", after_ending::refuse_ended},    // the handler has ended the transaction
            {0, "3B001", after_ending::refuse_ended},    // and begun another
            {2, "23503", after_ending::refuse},          // a deferred constraint
            {2, "P0001", after_ending::refuse},          // a deferred trigger
            {2, "53100", after_ending::undo},            // the disk is full
            {2, "40P01", after_ending::undo},            // a deadlock
            {1, "55P03", after_ending::undo},            // another session has locked the record
            {1, "42501", after_ending::undo},            // there is no right to insert
            {1, "26000", after_ending::undo},            // the handler has deallocated our statement
            {1, "57P01", after_ending::undo_and_drop},   // the server shuts down
            {1, "25006", after_ending::undo_and_drop},   // it has become a standby
            {0, "57P01", after_ending::undo_and_drop},   //
        }));
    CAPTURE(succeeded, sqlstate);
    CHECK(after_complete({succeeded, sqlstate}) == after);
}

TEST_CASE("postgres transaction_fsm: what the answer to COMMIT without a record means") {
    auto const [succeeded, sqlstate, after] =
        GENERATE(Catch::Generators::table<std::size_t, std::string, after_ending>({
            {10, "", after_ending::give_back},
            {2, "55P03", after_ending::drop},
            {1, "23503", after_ending::refuse},
            {0, "25P02", after_ending::refuse},
            {0, "25P01", after_ending::refuse_ended},
            {1, "40001", after_ending::undo},  // there is no record to look for
            {1, "57P01", after_ending::undo_and_drop},
        }));
    CAPTURE(succeeded, sqlstate);
    CHECK(after_commit({succeeded, sqlstate}) == after);
}

TEST_CASE("postgres transaction_fsm: a COMMIT in doubt is told by its record, once its lock can be had") {
    doubt_fsm::time_point now{};
    doubt_fsm doubt(now, 100ms);
    CHECK(doubt.end() == transaction_end::in_doubt);
    CHECK(doubt.looked(seen::nothing, now));
    CHECK(doubt.looked(seen::nothing, now += 99ms));
    CHECK(doubt.end() == transaction_end::in_doubt);
    SECTION("it happened") {
        CHECK_FALSE(doubt.looked(seen::own_record, now));
        CHECK(doubt.end() == transaction_end::committed);
    }
    SECTION("it did not") {
        CHECK_FALSE(doubt.looked(seen::no_record, now));
        CHECK(doubt.end() == transaction_end::undone);
    }
    SECTION("it did not, and another request was faster") {
        CHECK_FALSE(doubt.looked(seen::other_record, now));
        CHECK(doubt.end() == transaction_end::overtaken);
    }
    SECTION("a look that tells counts, however late it is") {
        CHECK_FALSE(doubt.looked(seen::own_record, now += 1h));
        CHECK(doubt.end() == transaction_end::committed);
    }
    SECTION("nobody can tell in time") {
        CHECK_FALSE(doubt.looked(seen::nothing, now += 1ms));
        CHECK(doubt.end() == transaction_end::in_doubt);
    }
}
