// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/step_log.hpp>
#include <idempo/detail/traceparent.hpp>
#include <idempo/error.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <optional>

namespace idempo::detail {

/// How long to wait before a store is asked again: longer each time, and at most to the deadline. The last pause ends
/// at the deadline and not just before it.
[[nodiscard]] std::chrono::milliseconds longer_pause(std::chrono::milliseconds last,
                                                     std::chrono::steady_clock::time_point now,
                                                     std::chrono::steady_clock::time_point until);

/// The saving of one step, without I/O: `save ⇄ pause → end`.
///
/// Lives within the running handler; the claim and the options must outlive it.
class step_saving {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using clock = time_point (*)();

    enum class next {
        save,   ///< `request()`; `saved`
        pause,  ///< `pause()`; `paused`
        end,    ///< tell the execution `error()` and `is_kept()`
    };

    step_saving(options const& options, claim_request const& claim, unsigned attempt, step_place at, shared_bytes step,
                clock now, traceparent const& trace = {});

    next saved(error_code error, bool is_kept);
    next paused();

    [[nodiscard]] step_request const& request() const noexcept { return request_; }
    [[nodiscard]] std::chrono::milliseconds pause() const noexcept { return pause_; }
    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] bool is_kept() const noexcept { return is_kept_; }

private:
    void begin();
    void tell(event_type type, error_code error) const;

    options const& options_;
    step_request request_;
    unsigned attempt_;
    clock now_;
    traceparent trace_;
    std::chrono::milliseconds pause_{};
    std::optional<time_point> until_;
    time_point began_{};
    error_code error_;
    bool is_kept_ = false;
};

}  // namespace idempo::detail
