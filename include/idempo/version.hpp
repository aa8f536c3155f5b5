// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace idempo {

/// The version of these headers; the build reads it here. Before 1.0 a new minor version may break callers.
inline constexpr unsigned version_major = 0;
inline constexpr unsigned version_minor = 2;
inline constexpr unsigned version_patch = 0;

/// The version of the library that is linked: "0.2.0".
[[nodiscard]] std::string_view version() noexcept;

namespace detail {

/// Only libraries of this minor version define it.
extern char const library_v0_2;

/// In every object that includes a header of this version, so the linker refuses headers of one version with a library
/// of another, and two versions in one program. An inline namespace would do the same, but appear in every compiler
/// message and backtrace.
[[gnu::used]] inline char const* const headers_v0_2 = &library_v0_2;

}  // namespace detail

}  // namespace idempo
