// SPDX-License-Identifier: MIT
#pragma once

#include "metrics/idempotency_metrics.hpp"

#include <idempo/observer.hpp>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <string>

/// The metrics that the page shows.
struct counters {
    std::uint64_t executed = 0;
    std::uint64_t replayed = 0;
    std::uint64_t conflicts = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t in_flight = 0;
    friend bool operator==(counters const&, counters const&) = default;
};

/// The metrics for Prometheus at `/metrics`. Thread-safe.
class metrics {
public:
    metrics();

    /// For `idempo::options`.
    void observe(idempo::event const& event) { idempotency_.observe(event); }

    void count_response(unsigned status);

    /// The text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
    [[nodiscard]] std::string text() const;

    [[nodiscard]] counters read() const;

private:
    prometheus::Registry registry_;
    idempotency_metrics idempotency_;
    prometheus::Family<prometheus::Counter>* responses_;
};
