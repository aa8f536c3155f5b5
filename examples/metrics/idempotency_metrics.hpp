// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <vector>

/// What idempo tells its observer, as metrics for Prometheus:
///
///     idempo_events_total{event}       a counter for each `idempo::event_type`
///     idempo_step_seconds{step}        a histogram for each `idempo::event_step`
///     idempo_handlers_running          a gauge
///
/// The board and the alerts in `docs/monitoring` read these names. All series exist from the start: Prometheus sees no
/// increase in a counter that is born with its first event, and the alerts wait for events that are rare.
///
/// Thread-safe. The registry outlives it.
class idempotency_metrics {
public:
    explicit idempotency_metrics(prometheus::Registry& registry);

    /// For `idempo::options::observer`.
    void observe(idempo::event const& event);

    [[nodiscard]] std::uint64_t count(idempo::event_type type) const;
    [[nodiscard]] std::uint64_t handlers_running() const;

private:
    void observe_step(idempo::event const& event);

    /// By `event_type`; null for the two that begin and end a step.
    std::vector<prometheus::Counter*> events_;
    /// By `event_step`.
    std::vector<prometheus::Histogram*> steps_;
    prometheus::Gauge* handlers_running_;
};
