// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace idempo::redis {

/// \throws std::invalid_argument always
[[noreturn]] inline void refuse_option(std::string const& sentence) {
    throw std::invalid_argument("redis: " + sentence);
}

}  // namespace idempo::redis
