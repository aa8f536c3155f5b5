// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/observer.hpp>
#include <idempo/postgres/options.hpp>
#include <idempo/redis/options.hpp>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <functional>
#include <string_view>

/// \file
/// The service's log: one JSON object a line, on standard error. No key, no body, no secret, and no path, which may
/// hold an id: the route instead. Safe from any thread.

namespace service_log {

/// `{"time":…,"event":…}` and then the other members.
void write(std::string_view event, nlohmann::ordered_json const& members);

/// One line for each response.
void request(std::string_view method, std::string_view route, unsigned status,
             std::chrono::steady_clock::duration duration);

/// The outcome of a request with a key, and failures.
void idempotency(idempo::event const& event);

/// \name For the options of the stores: one line for each problem, however often it is tried again
/// @{
[[nodiscard]] std::function<void(idempo::redis_event const&)> redis();
[[nodiscard]] std::function<void(idempo::postgres_event const&)> postgres();
/// @}

}  // namespace service_log
