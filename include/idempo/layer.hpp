// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The place of `idempo/layers/idempotency.hpp` in version 0.1. It goes away in 0.3.

#include <idempo/layers/idempotency.hpp>
