// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace check_trace {

/// What a line is about.
enum class subject {
    trace,  ///< the trace of a process: begins or ends
    claim,  ///< calls of a store, from here on
    complete,
    abandon,
    renew,
    save_step,
    park,
    settle,
    forget,
    handler,  ///< parts of a request: begun or ended
    reconcile,
    told,  ///< events of the observer
};

/// A line of a trace; views into it.
struct entry {
    std::uint64_t process = 0;
    std::uint64_t number = 0;
    /// Microseconds since 1970.
    std::int64_t time = 0;
    std::string_view store;
    std::uint64_t key = 0;
    bool has_key = false;
    /// 0: none.
    std::uint64_t token = 0;
    unsigned attempt = 0;
    subject what = subject::trace;
    std::string_view how;
    /// ` name=value` each.
    std::string_view fields;

    [[nodiscard]] bool is_call() const noexcept { return what >= subject::claim && what <= subject::forget; }
};

/// Why a line is none of a trace, as a sentence.
class malformed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// \throws malformed
[[nodiscard]] entry read_entry(std::string_view line);

/// The value of a field; empty where there is none.
[[nodiscard]] std::string_view field(entry const& of, std::string_view name) noexcept;
/// A field that is a number; `otherwise` where there is none. \throws malformed
[[nodiscard]] std::uint64_t number_field(entry const& of, std::string_view name, std::uint64_t otherwise);
/// A field of eight digits; 0 where there is none. \throws malformed
[[nodiscard]] std::uint32_t digits_field(entry const& of, std::string_view name);

[[nodiscard]] std::string_view to_string(subject what) noexcept;

}  // namespace check_trace
