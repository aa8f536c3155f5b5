#pragma once

// Debian 12 has Catch2 2, Ubuntu 24.04 has Catch2 3; the macros that we use are the same in both.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
