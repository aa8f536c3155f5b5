// SPDX-License-Identifier: MIT
#include <idempo/stores/settle.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/fault_store.hpp"
#include "support/posted_store.hpp"

#include <idempo/record/captured_response.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
using idempo::event_type;
namespace asio = boost::asio;

/// A record that nobody knows the outcome of, and who is told.
struct scene {
    scene() {
        idempo::error_code error;
        auto const by = idempo::make_fencing_token();
        static_cast<void>(store.claim({key, {{2}}, by, 1h, 1h}, error));
        REQUIRE(store.park({key, {{2}}, by, idempo::shared_bytes("why"), 1h}, error));
    }

    [[nodiscard]] idempo::settle_request request(bool with_response, unsigned attempt = 1) const {
        idempo::settle_request made{key, attempt, {}, 1h};
        if (with_response) made.record = idempo::make_record(answer_with(201, "settled by hand"), {});
        return made;
    }

    idempo::memory_store store;
    idempo::store_key key{{1}};
    std::vector<idempo::event> events;
    idempo::observer told = [this](idempo::event const& event) { events.push_back(event); };
};

void check_told(scene const& with, event_type type, unsigned status) {
    REQUIRE(with.events.size() == 1);
    auto const& event = with.events.front();
    CHECK(event.type == type);
    CHECK(event.step == idempo::event_step::settle);
    CHECK(event.key == with.key);
    CHECK(event.attempt == 1);
    CHECK(event.status == status);
}

}  // namespace

TEST_CASE("settle: tells that a record was answered, or released, by hand", "[settle]") {
    bool const with_response = GENERATE(true, false);
    scene with;
    idempo::error_code error;
    CHECK(idempo::settle(with.store, with.request(with_response), with.told, error));
    CHECK_FALSE(error);
    if (with_response) check_told(with, event_type::answered_by_hand, 201);
    if (!with_response) check_told(with, event_type::released_by_hand, 0);

    auto const found = with.store.peek(with.key, error);
    CHECK(found.has_value() == with_response);
    if (found) CHECK(found->state == idempo::record_state::completed);
}

TEST_CASE("settle: tells nothing where the record had changed", "[settle]") {
    bool const with_response = GENERATE(true, false);
    scene with;
    idempo::error_code error;
    CHECK_FALSE(idempo::settle(with.store, with.request(with_response, 2), with.told, error));
    CHECK_FALSE(error);
    CHECK(with.events.empty());
}

TEST_CASE("settle: tells of a store that fails", "[settle]") {
    scene with;
    fault_plan const failing;
    failing.use(every(store_call::settle, fault::fails_before));
    fault_store<> store(with.store, failing);
    idempo::error_code error;
    CHECK_FALSE(idempo::settle(store, with.request(true), with.told, error));
    CHECK(error);
    check_told(with, event_type::store_error, 201);
    CHECK(with.events.front().error == error);
}

TEST_CASE("settle: needs no observer, and no record that can be read", "[settle]") {
    scene with;
    idempo::error_code error;
    SECTION("no observer") { CHECK(idempo::settle(with.store, with.request(true), {}, error)); }
    SECTION("an observer that throws") {
        auto const throws = [](idempo::event const&) { throw std::runtime_error("no disk"); };
        CHECK(idempo::settle(with.store, with.request(true), throws, error));
    }
    SECTION("a record in another form") {
        auto request = with.request(false);
        request.record = idempo::shared_bytes("no record");
        CHECK(idempo::settle(with.store, request, with.told, error));
        check_told(with, event_type::answered_by_hand, 0);
    }
    CHECK_FALSE(error);
}

TEST_CASE("settle: an asynchronous store tells the same, before the call completes", "[settle]") {
    bool const with_response = GENERATE(true, false);
    scene with;
    asio::io_context context;
    posted_store<idempo::memory_store> const store(with.store, context.get_executor());
    std::optional<bool> done;
    idempo::async_settle(store, with.request(with_response), with.told, [&](idempo::error_code error, bool is_done) {
        CHECK_FALSE(error);
        CHECK(with.events.size() == 1);
        done = is_done;
    });
    CHECK_FALSE(done);
    context.run();
    CHECK(done == true);
    if (with_response) check_told(with, event_type::answered_by_hand, 201);
    if (!with_response) check_told(with, event_type::released_by_hand, 0);
}
