// SPDX-License-Identifier: MIT
#include "metrics/idempotency_metrics.hpp"

#include <prometheus/family.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace {

using idempo::event_step;
using idempo::event_type;

prometheus::Histogram::BucketBoundaries const seconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                      0.05,   0.1,     0.25,   0.5,   1,      2.5,   10,   30};

/// The names of an enumeration of the library, in its order. A later version may have more of them.
template <class Enumeration>
std::vector<std::string> names_of() {
    std::vector<std::string> names;
    while (true) {
        auto const name = idempo::to_string(static_cast<Enumeration>(names.size()));
        if (name == "unknown") return names;
        names.emplace_back(name);
    }
}

bool is_about_a_step(event_type type) { return type == event_type::step_began || type == event_type::step_ended; }

}  // namespace

idempotency_metrics::idempotency_metrics(prometheus::Registry& registry)
    : handlers_running_(&prometheus::BuildGauge()
                             .Name("idempo_handlers_running")
                             .Help("Requests with a key whose handler runs now")
                             .Register(registry)
                             .Add({})) {
    auto& events = prometheus::BuildCounter()
                       .Name("idempo_events_total")
                       .Help("What became of requests with a key, one outcome each, and what happened beside it")
                       .Register(registry);
    for (auto const& name : names_of<event_type>()) {
        bool const counted = !is_about_a_step(static_cast<event_type>(events_.size()));
        events_.push_back(counted ? &events.Add({{"event", name}}) : nullptr);
    }
    auto& steps = prometheus::BuildHistogram()
                      .Name("idempo_step_seconds")
                      .Help("How long the handler, the operations of the store and the wait for a first request take")
                      .Register(registry);
    for (auto const& name : names_of<event_step>()) steps_.push_back(&steps.Add({{"step", name}}, seconds));
}

void idempotency_metrics::observe(idempo::event const& event) {
    if (is_about_a_step(event.type)) return observe_step(event);
    events_.at(static_cast<std::size_t>(event.type))->Increment();
}

void idempotency_metrics::observe_step(idempo::event const& event) {
    bool const began = event.type == event_type::step_began;
    if (event.step == event_step::handler) handlers_running_->Increment(began ? 1 : -1);
    if (began) return;
    steps_.at(static_cast<std::size_t>(event.step))->Observe(std::chrono::duration<double>(event.duration).count());
}

std::uint64_t idempotency_metrics::count(event_type type) const {
    return static_cast<std::uint64_t>(events_.at(static_cast<std::size_t>(type))->Value());
}

std::uint64_t idempotency_metrics::handlers_running() const {
    return static_cast<std::uint64_t>(handlers_running_->Value());
}
