// SPDX-License-Identifier: MIT

// The one translation unit that defines the library.

#include <idempo/postgres/src.hpp>
#include <idempo/redis/src.hpp>
#include <idempo/src.hpp>
