// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What the program reads and prints: spans, states and JSON.

namespace idempoctl {

/// `90s`, `5m`, `24h`, `7d`, `250ms`. Empty where it is none of these, or longer than 1,000 years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_span(std::string_view text);

/// The two largest units: `3m 20s`. Never negative: the direction is for the caller to say.
[[nodiscard]] std::string print_span(std::chrono::milliseconds span);

/// `in_flight`, `completed` or `parked`; empty where it is none.
[[nodiscard]] std::optional<idempo::record_state> parse_state(std::string_view text);
[[nodiscard]] std::string_view name_of(idempo::record_state state);

/// Whether it stands for no attempt at all: it was released, and the next request runs the handler.
[[nodiscard]] bool is_free(idempo::record_info const& info);

/// Whether a record in flight has outlived its lease: nobody is known to work on it.
[[nodiscard]] bool has_ended_lease(idempo::record_info const& info);

/// `in flight, attempt 2, lease ended 12s ago`.
[[nodiscard]] std::string sentence_of(idempo::record_info const& info);

/// One line for the terminal: what is not printable becomes `\xNN`.
[[nodiscard]] std::string printable(std::string_view text);

/// A JSON object that is written field by field, in one line.
class json_object {
public:
    json_object& add(std::string_view name, std::string_view value);
    json_object& add(std::string_view name, char const* value) { return add(name, std::string_view(value)); }
    json_object& add(std::string_view name, std::int64_t value);
    json_object& add(std::string_view name, bool value);
    json_object& add(std::string_view name, std::chrono::milliseconds value) { return add(name, value.count()); }
    /// As it is: another object, or an array.
    json_object& add_raw(std::string_view name, std::string_view json);
    [[nodiscard]] std::string text() const { return '{' + fields_ + '}'; }

private:
    std::string fields_;
};

/// In quotes. Bytes that are not ASCII are written as the code points of the same numbers.
[[nodiscard]] std::string json_string(std::string_view text);

/// The fields of a record that every command prints.
[[nodiscard]] json_object json_of(idempo::store_key const& key, idempo::record_info const& info);

}  // namespace idempoctl
