// SPDX-License-Identifier: MIT
#include <idempo/observer.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using idempo::event;
using idempo::event_step;
using idempo::event_type;

std::string logged(event const& told) {
    std::ostringstream out;
    idempo::log_to(out)(told);
    return out.str();
}

event of(event_type type) {
    event told;
    told.type = type;
    for (std::size_t index = 0; index < told.key.bytes.size(); ++index) {
        told.key.bytes[index] = static_cast<unsigned char>(0xA0 + index);
    }
    return told;
}

}  // namespace

TEST_CASE("log_to: one line an event, with the first digits of the store key", "[observer]") {
    auto told = of(event_type::executed);
    told.attempt = 1;
    told.status = 201;
    CHECK(logged(told) == "idempo executed key=a0a1a2a3 attempt=1 status=201\n");
    CHECK(logged(of(event_type::held)) == "idempo held key=a0a1a2a3\n");
}

TEST_CASE("log_to: the ids of the request's trace and of the first one's", "[observer]") {
    auto told = of(event_type::replayed);
    told.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    told.first_traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    CHECK(logged(told) == "idempo replayed key=a0a1a2a3 trace=4bf92f3577b34da6a3ce929d0e0e4736"
                          " first_trace=0af7651916cd43dd8448eb211c80319c\n");
}

TEST_CASE("log_to: an error by category and number, never by its text", "[observer]") {
    auto told = of(event_type::store_error);
    told.step = event_step::complete;
    told.error = idempo::error::store_timed_out;
    CHECK(logged(told) == "idempo store_error key=a0a1a2a3 step=complete error=idempo:3\n");
}

TEST_CASE("log_to: the text of an exception is not printed", "[observer]") {
    auto told = of(event_type::handler_threw);
    told.exception = std::make_exception_ptr(std::runtime_error("card 4242"));
    CHECK(logged(told).find("4242") == std::string::npos);
}

TEST_CASE("log_to: begin and end of steps are left out", "[observer]") {
    CHECK(logged(of(event_type::step_began)).empty());
    CHECK(logged(of(event_type::step_ended)).empty());
}

TEST_CASE("log_to: lines of several threads stay whole", "[observer]") {
    std::ostringstream out;
    auto const observer = idempo::log_to(out);
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back([copy = observer] {
            for (int line = 0; line < 100; ++line) copy(of(event_type::replayed));
        });
    }
    for (auto& thread : threads) thread.join();
    std::istringstream lines(out.str());
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) CHECK(line == "idempo replayed key=a0a1a2a3");
    CHECK(count == 400);
}

TEST_CASE("to_string: every event and every step has a name of its own", "[observer]") {
    std::set<std::string_view> names;
    for (int type = 0; type <= static_cast<int>(event_type::handler_threw); ++type) {
        names.insert(to_string(static_cast<event_type>(type)));
    }
    CHECK(names.size() == static_cast<std::size_t>(event_type::handler_threw) + 1);
    CHECK(names.count("unknown") == 0);
    CHECK(to_string(static_cast<event_type>(99)) == "unknown");

    names.clear();
    for (int step = 0; step <= static_cast<int>(event_step::park); ++step) {
        names.insert(to_string(static_cast<event_step>(step)));
    }
    CHECK(names.size() == static_cast<std::size_t>(event_step::park) + 1);
    CHECK(to_string(static_cast<event_step>(99)) == "unknown");
}
