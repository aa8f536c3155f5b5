// SPDX-License-Identifier: MIT

// The library once more, compiled with the timers of the simulation.
#include <idempo/src.hpp>
