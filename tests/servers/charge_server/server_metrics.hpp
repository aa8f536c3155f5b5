// SPDX-License-Identifier: MIT
#pragma once

#include "metrics/idempotency_metrics.hpp"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <string>

/// What `--metrics` counts. Thread-safe.
class server_metrics {
public:
    void observe(idempo::event const& event) { counted_.observe(event); }

    [[nodiscard]] std::string text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

private:
    prometheus::Registry registry_;
    idempotency_metrics counted_{registry_};
};
