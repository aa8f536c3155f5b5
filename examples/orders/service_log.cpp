// SPDX-License-Identifier: MIT
#include "orders/service_log.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

namespace service_log {

namespace {

/// UTC, RFC 3339, with milliseconds.
std::string now() {
    auto const time = std::chrono::system_clock::now();
    auto const seconds = std::chrono::floor<std::chrono::seconds>(time);
    auto const milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds).count();
    auto const since_epoch = std::chrono::system_clock::to_time_t(seconds);
    std::tm parts{};
    ::gmtime_r(&since_epoch, &parts);
    std::array<char, 32> text{};
    auto const size = std::strftime(text.data(), text.size(), "%FT%T.", &parts);
    auto const fraction = std::to_string(milliseconds);
    return std::string(text.data(), size) + std::string(3 - fraction.size(), '0') + fraction + "Z";
}

template <class Problem>
auto once(std::string_view server) {
    return [server, last = std::make_shared<std::atomic<Problem>>(Problem::lost)](auto const& event) {
        if (last->exchange(event.problem) == event.problem) return;
        write(server, {{"state", std::string(idempo::to_string(event.problem))}});
    };
}

}  // namespace

void write(std::string_view event, nlohmann::ordered_json const& members) {
    nlohmann::ordered_json line{{"time", now()}, {"event", event}};
    line.update(members);
    // One write, since other threads write, too.
    std::cerr << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n' << std::flush;
}

void request(std::string_view method, std::string_view route, unsigned status,
             std::chrono::steady_clock::duration duration) {
    auto const microseconds = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    write("request", {{"method", method}, {"route", route}, {"status", status}, {"duration_us", microseconds}});
}

void idempotency(idempo::event const& event) {
    using idempo::event_type;
    if (event.type == event_type::step_began || event.type == event_type::step_ended) return;
    nlohmann::ordered_json members{{"outcome", idempo::to_string(event.type)}};
    if (event.attempt != 0) members["attempt"] = event.attempt;
    if (event.status != 0) members["status"] = event.status;
    if (event.type == event_type::store_error) members["step"] = idempo::to_string(event.step);
    if (event.error) members["error"] = event.error.message();
    write("idempotency", members);
}

std::function<void(idempo::redis_event const&)> redis() { return once<idempo::redis_problem>("redis"); }

std::function<void(idempo::postgres_event const&)> postgres() { return once<idempo::postgres_problem>("postgres"); }

}  // namespace service_log
