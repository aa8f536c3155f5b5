// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::simulation {

using redis_words = std::vector<std::string>;

/// Makes commands of the bytes that a client sends, however they are cut.
class redis_command_reader {
public:
    void feed(std::string_view bytes) { unread_.append(bytes); }

    /// The next complete command. \throws std::runtime_error where the bytes are no commands
    [[nodiscard]] std::optional<redis_words> next();

private:
    [[nodiscard]] std::optional<std::size_t> number_after(char kind, std::size_t& at) const;

    std::string unread_;
};

}  // namespace idempo::simulation
