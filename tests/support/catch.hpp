// SPDX-License-Identifier: MIT
#pragma once

// Debian 12 has Catch2 2, Ubuntu 24.04 has Catch2 3; both have the macros that we use.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
