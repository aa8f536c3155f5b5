// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace idempo::detail {

/// What a record that is not completed keeps: its steps, and where it has been parked the reason in front of them,
/// after its size in 2 bytes, big-endian. Redis' script reads the same (`idempo/redis/operations/record.hpp`).
struct open_notes {
    std::string_view reason;
    std::string_view steps;
};

[[nodiscard]] inline std::string parked_notes(open_notes const& notes) {
    std::string bytes;
    bytes.reserve(2 + notes.reason.size() + notes.steps.size());
    bytes += static_cast<char>(static_cast<unsigned char>(notes.reason.size() >> 8U));
    bytes += static_cast<char>(static_cast<unsigned char>(notes.reason.size()));
    bytes.append(notes.reason).append(notes.steps);
    return bytes;
}

/// \pre `bytes` are those of `parked_notes`, or damaged: then all of them are steps
[[nodiscard]] inline open_notes read_notes(std::string_view bytes, bool has_reason) {
    if (!has_reason || bytes.size() < 2) return {{}, bytes};
    auto const size = (std::size_t{static_cast<unsigned char>(bytes[0])} << 8U) | static_cast<unsigned char>(bytes[1]);
    if (size > bytes.size() - 2) return {{}, bytes};
    return {bytes.substr(2, size), bytes.substr(2 + size)};
}

}  // namespace idempo::detail
