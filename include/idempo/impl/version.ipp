// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/version.hpp>

#include <string>

namespace idempo {

std::string_view version() noexcept {
    static std::string const text =
        std::to_string(version_major) + '.' + std::to_string(version_minor) + '.' + std::to_string(version_patch);
    return text;
}

namespace detail {

char const library_v0_2 = 0;

/// Two versions linked statically into one program define it twice, which the linker reports.
extern char const only_one_version;
char const only_one_version = 0;

}  // namespace detail

}  // namespace idempo
