// SPDX-License-Identifier: MIT
#pragma once

#include "support/catch.hpp"
#include "support/pending_answer.hpp"
#include "support/store_scene.hpp"

#include <idempo/store.hpp>

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace idempo::tests {

/// Claims and Completes in flight while the server dies; the acknowledged ones must survive.
class record_burst {
public:
    template <class AsyncStore>
    record_burst(AsyncStore& store, std::size_t first_key, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            claims_.push_back(claim_of(numbered_key(first_key + i)));
            pending_claims_.push_back(begin_claim(store, claims_.back()));
            // Half are completed, some of them before their claim is answered.
            if (i % 2 == 0) completes_.push_back(begin_complete(store, complete_of(claims_.back(), std::to_string(i))));
        }
    }

    /// Waits until so many claims have their answer.
    void await_claims(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) pending_claims_[i].wait();
    }

    void await() {
        for (auto& each : pending_claims_) {
            auto const [error, answer] = each.get();
            acknowledged_.push_back(!error && std::holds_alternative<granted>(answer));
        }
        for (auto& each : completes_) {
            auto const [error, answer] = each.get();
            completed_.push_back(!error && std::holds_alternative<done>(answer));
        }
    }

    /// \pre `await`. Returns how many acknowledged records there were.
    template <class Store>
    std::size_t check(Store& store) {
        std::size_t acknowledged = 0;
        for (std::size_t i = 0; i < claims_.size(); ++i) {
            auto rival = claims_[i];
            rival.fencing_token = make_fencing_token();
            error_code error;
            if (i % 2 == 0 && completed_[i / 2]) {
                auto const answer = store.claim(rival, error);
                auto const* const found = std::get_if<completed>(&answer);
                CHECK((found != nullptr && found->record.view() == std::to_string(i)));
                ++acknowledged;
            } else if (acknowledged_[i]) {
                auto const answer = store.claim(rival, error);
                CHECK((std::holds_alternative<in_flight>(answer) || std::holds_alternative<completed>(answer)));
                CHECK_FALSE(error);
                ++acknowledged;
            }
        }
        return acknowledged;
    }

private:
    std::vector<claim_request> claims_;
    std::vector<pending_answer<claim_result>> pending_claims_;
    std::vector<pending_answer<complete_result>> completes_;
    std::vector<bool> acknowledged_;
    std::vector<bool> completed_;
};

}  // namespace idempo::tests
