// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
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

    /// For `idempo::options`: outcomes, the time of store and handler, and requests in flight.
    void observe(idempo::event const& event);

    void count_response(unsigned status);

    /// The text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
    [[nodiscard]] std::string text() const;

    [[nodiscard]] counters read() const;

private:
    static constexpr std::size_t step_count = static_cast<std::size_t>(idempo::event_step::park) + 1;

    void observe_step(idempo::event const& event);
    prometheus::Counter& outcome(idempo::event_type type);

    prometheus::Registry registry_;
    prometheus::Family<prometheus::Counter>* responses_;
    prometheus::Family<prometheus::Counter>* outcomes_;
    prometheus::Counter* executed_;
    prometheus::Counter* replayed_;
    prometheus::Counter* conflicts_;
    prometheus::Counter* mismatches_;
    prometheus::Gauge* in_flight_;
    /// By `event_step`.
    std::array<prometheus::Histogram*, step_count> steps_{};
};
