// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/chronicle.hpp"
#include "simulation/store_call.hpp"

#include <string>
#include <variant>

namespace idempo::simulation {

[[nodiscard]] inline std::string describe(store_call const& call, chronicle& told) {
    auto const by = " " + told.name(token_of(call));
    auto const key = " of key " + to_hex(key_of(call).view().substr(0, 2));
    if (auto const* claim = std::get_if<claim_request>(&call)) {
        return "claim" + by + key + (claim->take_over ? "" : ", without takeover") +
               (claim->take_parked ? ", also parked" : "");
    }
    if (std::holds_alternative<complete_request>(call)) return "complete" + by + key;
    if (std::holds_alternative<abandon_request>(call)) return "abandon" + by + key;
    if (std::holds_alternative<renew_request>(call)) return "renew" + by + key;
    if (auto const* step = std::get_if<step_request>(&call)) {
        return "save_step" + by + key + " at " + std::to_string(step->offset);
    }
    if (std::holds_alternative<park_request>(call)) return "park" + by + key;
    if (auto const* settle = std::get_if<settle_request>(&call)) {
        return std::string("settle") + key + (settle->record ? ", completed" : ", free");
    }
    return "peek" + key;
}

[[nodiscard]] inline std::string describe(claim_result const& result) {
    if (auto const* grant = std::get_if<granted>(&result)) {
        auto const steps = grant->steps.size();
        return "granted, attempt " + std::to_string(grant->attempt) +
               (steps > 0 ? ", with " + std::to_string(steps) + " bytes of steps" : "");
    }
    if (auto const* met = std::get_if<in_flight>(&result)) {
        return "in flight for " + std::to_string(met->lease_remaining.count()) + " ms";
    }
    if (std::holds_alternative<mismatch>(result)) return "mismatch";
    if (std::holds_alternative<completed>(result)) return "completed";
    if (std::holds_alternative<expired>(result)) return "lease has ended";
    if (std::holds_alternative<parked>(result)) return "parked";
    return "remembered";
}

[[nodiscard]] inline std::string describe(store_answer const& answer) {
    if (answer.error) return answer.error.message();
    if (auto const* claim = std::get_if<claim_result>(&answer.result)) return describe(*claim);
    if (auto const* complete = std::get_if<complete_result>(&answer.result)) {
        if (std::holds_alternative<done>(*complete)) return "done";
        if (std::holds_alternative<completed>(*complete)) return "completed by another";
        return std::holds_alternative<in_flight>(*complete) ? "in flight under another" : "mismatch";
    }
    if (auto const* is = std::get_if<bool>(&answer.result)) return *is ? "yes" : "no";
    return "ok";
}

}  // namespace idempo::simulation
