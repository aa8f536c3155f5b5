// SPDX-License-Identifier: MIT
#pragma once

#include "support/inspectable.hpp"

#include <idempo/postgres/store.hpp>

namespace idempo::tests {

using inspectable_postgres = inspectable<postgres_store>;

}  // namespace idempo::tests
