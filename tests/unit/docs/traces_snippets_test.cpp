// SPDX-License-Identifier: MIT

// The code blocks of docs/traces.md. tests/snippets.cmake compares them.

#include <idempo/stores/traced.hpp>

#include "support/catch.hpp"

#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/tracer.hpp>

#include <chrono>
#include <sstream>
#include <utility>

TEST_CASE("traces: the page switches them on") {
    std::ostringstream file;
    {
        idempo::options options;
        idempo::memory_store const redis_store;
        //[traces-switch-on
        idempo::tracer const trace(idempo::trace_to(file));  // idempo/tracer.hpp
        options.observer = trace.observing(std::move(options.observer));
        auto store = idempo::traced(redis_store, trace);  // idempo/stores/traced.hpp
        //]
        idempo::error_code error;
        idempo::claim_request claim;
        claim.lease = std::chrono::minutes{1};
        static_cast<void>(store.claim(claim, error));
        trace.flush();
        CHECK(file.str().find(" claim granted ") != std::string::npos);
    }
    CHECK(file.str().find(" trace ends") != std::string::npos);
}
