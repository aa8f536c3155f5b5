// SPDX-License-Identifier: MIT

// Boost.JSON without its library. An object file of its own: the linker leaves it out of a program that has Boost.JSON.
#include <boost/json/src.hpp>
