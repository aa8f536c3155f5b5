// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/alike.hpp"
#include "check_trace/entry.hpp"
#include "check_trace/history.hpp"
#include "check_trace/record.hpp"
#include "check_trace/request.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace check_trace {

/// Where a line is.
struct place {
    std::uint32_t file = 0;
    std::uint64_t line = 0;
};

/// A forbidden event, as the report tells it.
struct violation {
    place where;
    microseconds time = 0;
    std::string store;
    std::uint64_t key = 0;
    std::string event;
    std::string state;
    std::string rule;
};

/// What a check has come to.
struct findings {
    std::uint64_t lines = 0;
    std::uint64_t calls = 0;
    std::uint64_t records = 0;
    std::uint64_t processes = 0;
    std::uint64_t violations = 0;
    /// The first ones.
    std::vector<violation> first;
    /// Calls that have no answer in the trace.
    std::uint64_t unanswered = 0;
    /// Lines that are missing, by their numbers.
    std::uint64_t missing = 0;
    /// Calls that nobody could judge: too many orders were possible, or a trace is missing.
    std::uint64_t undecided = 0;
    /// By event: `claim granted`, `told executed`.
    std::map<std::string, std::uint64_t, std::less<>> counts;
};

/// Replays lines, in the order of their times, and holds each record against the table. Memory: that of the records
/// that have not expired.
class checker {
public:
    explicit checker(assumptions given) : given_(given) {}

    /// \pre lines of one process come in their order
    /// \throws malformed
    void add(entry const& line, place where);
    /// There are no more lines. Call it once.
    findings finish();

    static constexpr std::size_t most_reported = 10;

private:
    struct process {
        std::uint64_t last_number = 0;
        microseconds last_time = 0;
        /// Its observer writes, too.
        bool has_observer = false;
        bool has_gap = false;
        bool began_late = false;
        bool is_buffered = false;
        bool has_ended = false;
    };
    struct record_key {
        std::uint64_t store;
        std::uint64_t key;
        friend bool operator==(record_key const&, record_key const&) = default;
    };
    struct record_key_hash {
        std::size_t operator()(record_key const& of) const noexcept {
            return of.key ^ (of.store * 0x9E3779B97F4A7C15U);
        }
    };
    struct past {
        std::vector<record> before;
        std::vector<call> calls;
    };
    struct record_history {
        /// What is possible now, and the calls that are not judged yet.
        std::vector<record> possible;
        std::vector<call> calls;
        /// Calls without an answer, and calls that may be executed once more.
        std::vector<call> unanswered;
        std::vector<call> repeatable;
        /// Earlier calls, and what was possible before them: what an unanswered call has done may show late.
        std::vector<past> earlier;
        std::size_t unfinished = 0;
        microseconds latest = always;
        std::uint64_t epoch = 0;
        /// Some possible records are missing.
        bool is_partial = false;
    };

    process& number(entry const& line);
    std::uint64_t store_number(entry const& line);
    void follow_request(entry const& line, process& by, place where);
    void forget_requests();
    void add_call(entry const& line, place where);
    [[nodiscard]] bool is_apart(record_history const& history, microseconds time) const;
    [[nodiscard]] microseconds last_time(call const& of) const;
    void begin_call(record_history& history, entry const& line, place where);
    void end_call(record_history& history, entry const& line, place where);
    void close(record_key const& of, record_history& history);
    void give_up_unfinished(record_history& history);
    void remember_repeatable(record_history& history);
    [[nodiscard]] static tokens shown_in(record_history const& history);
    [[nodiscard]] explanation judge(record_history const& history) const;
    [[nodiscard]] explanation judge_with(record_history const& history, std::vector<call> const& lost) const;
    void know_nothing(record_history& history) const;
    static void keep_past(record_history& history);
    void report(record_key const& of, forbidden const& found);
    void forget_expired();

    assumptions given_;
    findings found_;
    std::unordered_map<std::uint64_t, process> processes_;
    std::map<std::string, std::uint64_t, std::less<>> stores_;
    std::vector<std::string> store_names_;
    std::unordered_map<record_key, record_history, record_key_hash> records_;
    struct request {
        bits stage = stage::fresh;
        microseconds latest = always;
    };
    /// By token.
    std::unordered_map<std::uint64_t, request> requests_;
    std::size_t look_at_requests_ = 1U << 16U;
    std::size_t look_at_size_ = 1U << 16U;
    std::uint64_t epoch_ = 0;
    microseconds now_ = always;
    std::vector<std::pair<std::string, std::uint64_t>> counts_;
};

/// A call that has no answer for so long gets none.
inline constexpr microseconds longest_call = 60'000'000;

}  // namespace check_trace
