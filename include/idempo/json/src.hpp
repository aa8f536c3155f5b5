// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The implementation of `idempo::json`, for builds without its CMake target: include it in exactly one translation
/// unit. The program needs Boost.JSON as well: link it, or include `<boost/json/src.hpp>` in one translation unit.

#include <idempo/json/impl/acp.ipp>
#include <idempo/json/impl/canonical.ipp>
#include <idempo/json/impl/canonical_json.ipp>
#include <idempo/json/impl/string.ipp>
