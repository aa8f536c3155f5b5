// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

/// \file
/// The type of an observer without its events, for options that have one. Include `idempo/observer.hpp` where you write
/// an observer.

namespace idempo {

struct event;

/// Called on the deciding thread without a lock, concurrently for concurrent requests. Its exceptions are swallowed.
/// Without an observer, no clock is read.
using observer = std::function<void(event const&)>;

}  // namespace idempo
