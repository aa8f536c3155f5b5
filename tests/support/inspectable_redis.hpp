// SPDX-License-Identifier: MIT
#pragma once

#include "support/inspectable.hpp"

#include <idempo/redis/store.hpp>

namespace idempo::tests {

using inspectable_redis = inspectable<redis_store>;

}  // namespace idempo::tests
