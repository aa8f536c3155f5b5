// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/exchange/step_saving.hpp>

#include <algorithm>
#include <utility>

namespace idempo::detail {

std::chrono::milliseconds longer_pause(std::chrono::milliseconds last, std::chrono::steady_clock::time_point now,
                                       std::chrono::steady_clock::time_point until) {
    using std::chrono::milliseconds;
    constexpr milliseconds first{5};
    constexpr milliseconds longest{500};
    return std::min(std::clamp(last * 2, first, longest), std::chrono::ceil<milliseconds>(until - now));
}

step_saving::step_saving(options const& options, claim_request const& claim, unsigned attempt, step_place at,
                         shared_bytes step, clock now, traceparent const& trace)
    : options_(options),
      request_{claim.key, claim.fencing_token, at.offset, std::move(step), at.index, claim.fingerprint},
      attempt_(attempt),
      now_(now),
      trace_(trace) {
    begin();
}

step_saving::next step_saving::saved(error_code error, bool is_kept) {
    tell(event_type::step_ended, error);
    if (error) tell(event_type::store_error, error);
    error_ = error;
    is_kept_ = !error && is_kept;
    if (!error) return next::end;
    auto const now = now_();
    if (!until_) until_ = now + options_.persist_timeout;
    if (now >= *until_) return next::end;
    pause_ = longer_pause(pause_, now, *until_);
    return next::pause;
}

step_saving::next step_saving::paused() {
    begin();
    return next::save;
}

void step_saving::begin() {
    if (options_.observer) began_ = now_();
    tell(event_type::step_began, {});
}

void step_saving::tell(event_type type, error_code error) const {
    if (!options_.observer) return;
    event event;
    event.type = type;
    event.step = event_step::save_step;
    event.key = request_.key;
    event.fencing_token = request_.fencing_token;
    event.attempt = attempt_;
    event.error = error;
    event.traceparent = trace_.view();
    if (type != event_type::step_began) event.duration = now_() - began_;
    notify(options_.observer, event);
}

}  // namespace idempo::detail
