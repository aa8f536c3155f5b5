// SPDX-License-Identifier: MIT
#include "metrics/idempotency_metrics.hpp"

#include <idempo/execution.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include <prometheus/text_serializer.h>

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <thread>
#include <vector>

namespace {

namespace http = boost::beast::http;
using idempo::event_type;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

request post(std::string const& key) {
    request made(http::verb::post, "/charge", 11, "{}");
    made.set(http::field::host, "shop.example");
    made.set("Idempotency-Key", '"' + key + '"');
    made.prepare_payload();
    return made;
}

/// Whether the metrics have this line.
bool says(prometheus::Registry const& registry, std::string const& line) {
    auto const text = prometheus::TextSerializer().Serialize(registry.Collect());
    return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: every event and step is there before the first request") {
    prometheus::Registry registry;
    idempotency_metrics const metrics(registry);
    for (std::string const event : {"executed", "not_persisted", "fenced", "record_unreadable", "cookie_ignored"}) {
        CAPTURE(event);
        CHECK(says(registry, "idempo_events_total{event=\"" + event + "\"} 0"));
    }
    for (std::string const step : {"claim", "handler", "wait", "park"}) {
        CAPTURE(step);
        CHECK(says(registry, "idempo_step_seconds_count{step=\"" + step + "\"} 0"));
    }
    CHECK_FALSE(says(registry, "idempo_events_total{event=\"step_began\"} 0"));
    CHECK(says(registry, "idempo_handlers_running 0"));
}

TEST_CASE("metrics: a first request and its replay are counted and timed") {
    idempo::options options;
    //[monitoring-observer
    prometheus::Registry registry;  // both outlive the middleware
    idempotency_metrics metrics(registry);
    options.observer = [&metrics](idempo::event const& event) { metrics.observe(event); };
    //]
    std::uint64_t running = 0;
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | [&](request const&) {
        running = metrics.handlers_running();
        return response(http::status::created, 11);
    };
    static_cast<void>(handle(post("a")));
    static_cast<void>(handle(post("a")));

    CHECK(running == 1);
    CHECK(metrics.handlers_running() == 0);
    CHECK(metrics.count(event_type::executed) == 1);
    CHECK(metrics.count(event_type::replayed) == 1);
    CHECK(says(registry, "idempo_step_seconds_count{step=\"handler\"} 1"));
    CHECK(says(registry, "idempo_step_seconds_count{step=\"claim\"} 2"));
    CHECK(says(registry, "idempo_step_seconds_bucket{step=\"complete\",le=\"30\"} 1"));
}

TEST_CASE("metrics: events of several threads are all counted") {
    prometheus::Registry registry;
    idempotency_metrics metrics(registry);
    constexpr unsigned each = 10'000;
    idempo::event takeover;
    takeover.type = event_type::takeover;
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            for (unsigned number = 0; number < each; ++number) metrics.observe(takeover);
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(metrics.count(event_type::takeover) == 4 * each);
}
