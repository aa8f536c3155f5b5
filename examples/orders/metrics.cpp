// SPDX-License-Identifier: MIT
#include "orders/metrics.hpp"

#include <prometheus/text_serializer.h>

metrics::metrics()
    : idempotency_(registry_),
      responses_(&prometheus::BuildCounter()
                      .Name("orders_http_responses_total")
                      .Help("Answers by status")
                      .Register(registry_)) {}

void metrics::count_response(unsigned status) { responses_->Add({{"status", std::to_string(status)}}).Increment(); }

std::string metrics::text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

counters metrics::read() const {
    using idempo::event_type;
    counters now;
    now.executed = idempotency_.count(event_type::executed);
    now.replayed = idempotency_.count(event_type::replayed);
    now.conflicts = idempotency_.count(event_type::in_flight);
    now.mismatches = idempotency_.count(event_type::mismatch);
    now.in_flight = idempotency_.handlers_running();
    return now;
}
