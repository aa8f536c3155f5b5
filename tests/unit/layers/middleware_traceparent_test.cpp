// SPDX-License-Identifier: MIT

// Which trace made a record: kept with it, told to the observer, and to no client.

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/sealed.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
using idempo::event_type;

constexpr std::string_view first_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view later_trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

text_request traced(std::string_view trace, text_request request = keyed_request()) {
    request.set("traceparent", trace);
    return request;
}

/// What an observer was told of traces, beyond the calls.
class told_traces {
public:
    struct entry {
        event_type type;
        std::string own;
        std::string first;
    };

    [[nodiscard]] idempo::observer observer() {
        return [this](idempo::event const& event) {
            std::lock_guard const lock(mutex_);
            entries_.push_back({event.type, std::string(event.traceparent), std::string(event.first_traceparent)});
        };
    }

    [[nodiscard]] idempo::options options(bool keeps = true) {
        idempo::options options;
        options.keep_traceparent = keeps;
        options.observer = observer();
        return options;
    }

    /// The last event of that type.
    [[nodiscard]] entry of(event_type type) const {
        std::lock_guard const lock(mutex_);
        auto const found =
            std::find_if(entries_.rbegin(), entries_.rend(), [type](entry const& each) { return each.type == type; });
        REQUIRE(found != entries_.rend());
        return *found;
    }

    [[nodiscard]] bool all_have(std::string_view trace) const {
        std::lock_guard const lock(mutex_);
        return !entries_.empty() &&
               std::all_of(entries_.begin(), entries_.end(), [trace](entry const& each) { return each.own == trace; });
    }

private:
    mutable std::mutex mutex_;
    std::vector<entry> entries_;
};

void check_no_client_sees_it(text_response const& answer) {
    for (auto const& field : answer.base()) {
        CHECK(std::string_view(field.value()).find("4bf92f35") == std::string_view::npos);
    }
}

}  // namespace

TEST_CASE("middleware: a replay is told with its own trace and that of the first request, in every style", "[trace]") {
    auto const how = GENERATE(from_range(every_setup()));
    CAPTURE(how);
    told_traces told;
    effect_ledger const ledger;
    service tested(how, told.options(), charging(ledger));
    check_no_client_sees_it(tested.send(traced(first_trace)));
    CHECK(told.all_have(first_trace));
    CHECK(told.of(event_type::executed).first.empty());

    auto const replay = tested.send(traced(later_trace));
    CHECK(is_replay(replay));
    check_no_client_sees_it(replay);
    CHECK(told.of(event_type::replayed).own == later_trace);
    CHECK(told.of(event_type::replayed).first == first_trace);

    tested.send(keyed_request());  // without a trace
    CHECK(told.of(event_type::replayed).own.empty());
    CHECK(told.of(event_type::replayed).first == first_trace);
}

TEST_CASE("middleware: the trace is off by default, and then neither kept nor told", "[trace]") {
    told_traces told;
    effect_ledger const ledger;
    service tested({}, told.options(false), charging(ledger));
    tested.send(traced(first_trace));
    tested.send(traced(later_trace));
    CHECK(told.all_have(""));
    CHECK(told.of(event_type::replayed).first.empty());
}

TEST_CASE("middleware: a traceparent that is not valid fails no request", "[trace]") {
    auto const value = GENERATE(std::string("no trace"), std::string(1000, '0'), std::string(first_trace) + "-x");
    told_traces told;
    effect_ledger const ledger;
    service tested({}, told.options(), charging(ledger));
    CHECK(tested.send(traced(value)).result_int() == 201);
    CHECK(is_replay(tested.send(traced(later_trace))));
    CHECK(told.of(event_type::replayed).first.empty());
}

TEST_CASE("middleware: two traceparents are as good as none", "[trace]") {
    told_traces told;
    effect_ledger const ledger;
    service tested({}, told.options(), charging(ledger));
    auto request = traced(first_trace);
    request.insert("traceparent", later_trace);
    CHECK(tested.send(request).result_int() == 201);
    CHECK(told.all_have(""));
}

TEST_CASE("middleware: a mismatch is told with the request's own trace", "[trace]") {
    told_traces told;
    effect_ledger const ledger;
    service tested({}, told.options(), charging(ledger));
    tested.send(traced(first_trace));
    CHECK(tested.send(traced(later_trace, keyed_request("key-1", "another body"))).result_int() == 422);
    CHECK(told.of(event_type::mismatch).own == later_trace);
}

TEST_CASE("middleware: a tombstone keeps the trace, in guard mode, too", "[trace]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const is_guard = GENERATE(false, true);
    CAPTURE(how, is_guard);
    told_traces told;
    auto options = told.options();
    if (is_guard) options.on_duplicate = idempo::on_duplicate::reject;
    service tested(how, options, [](text_request const&, idempo::execution& execution) {
        execution.forget_body();
        return answer_with(201);
    });
    tested.send(traced(first_trace));
    CHECK(tested.send(traced(later_trace)).result_int() == 409);
    CHECK(told.of(event_type::refused).own == later_trace);
    CHECK(told.of(event_type::refused).first == first_trace);
}

TEST_CASE("middleware: what sanitize leaves of an answer keeps the trace", "[trace]") {
    told_traces told;
    auto options = told.options();
    options.sanitize = [](text_response& response) { response.erase(http::field::location); };
    effect_ledger const ledger;
    service tested({}, options, charging(ledger));
    tested.send(traced(first_trace));
    auto const replay = tested.send(traced(later_trace));
    CHECK(replay.count(http::field::location) == 0);
    CHECK(told.of(event_type::replayed).first == first_trace);
}

TEST_CASE("middleware: a response drained from a generator keeps the trace", "[trace]") {
    told_traces told;
    idempo::memory_store const records;
    auto const wrapped = idempo::idempotency(records, told.options()) | [](text_request const& request) {
        auto response = answer_with(201);
        response.version(request.version());
        response.prepare_payload();
        return http::message_generator(std::move(response));
    };
    static_cast<void>(wrapped(traced(first_trace)));
    static_cast<void>(wrapped(traced(later_trace)));
    CHECK(told.of(event_type::replayed).first == first_trace);
}

TEST_CASE("middleware: a record under an earlier identity tells its trace", "[trace]") {
    told_traces told;
    effect_ledger const ledger;
    idempo::memory_store const records;
    auto const handler = [&ledger](text_request const&, idempo::execution& execution) {
        return charge(ledger, execution);
    };
    auto now = told.options();
    now.key_namespace = "payments";
    now.previous = {{.key_namespace = ""}};
    auto const before = idempo::idempotency(records, told.options()) | handler;
    auto const after = idempo::idempotency(records, now) | handler;
    static_cast<void>(before(traced(first_trace)));
    CHECK(is_replay(read(after(traced(later_trace)))));
    CHECK(told.of(event_type::replayed).first == first_trace);
}

TEST_CASE("middleware: a sealed record has its trace sealed", "[trace]") {
    told_traces told;
    effect_ledger const ledger;
    idempo::memory_store records;
    idempo::seal_options const keys{.keys = {{1, std::string(32, 's')}}};
    auto const wrapped =
        idempo::idempotency(idempo::sealed_store(records, keys), told.options()) |
        [&ledger](text_request const&, idempo::execution& execution) { return charge(ledger, execution); };
    static_cast<void>(wrapped(traced(first_trace)));
    static_cast<void>(wrapped(traced(later_trace)));
    CHECK(told.of(event_type::replayed).first == first_trace);
}

TEST_CASE("middleware: an exception is told with the trace", "[trace]") {
    auto const how = GENERATE(from_range(every_setup()));
    CAPTURE(how);
    told_traces told;
    service tested(how, told.options(), [](text_request const&, idempo::execution&) -> text_response {
        throw std::runtime_error("handler");
    });
    tested.send(traced(first_trace));
    CHECK(told.of(event_type::handler_threw).own == first_trace);
    CHECK(told.all_have(first_trace));
}
