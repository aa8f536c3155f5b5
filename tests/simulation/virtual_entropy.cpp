// SPDX-License-Identifier: MIT
#include <random>

// The clients of stores take the seeds of their pauses from here. As with the clock, this definition is found before
// that of the standard library, so that a world depends on its seed only.
#ifdef __GLIBCXX__
std::random_device::result_type std::random_device::_M_getval() { return 1; }
#else
std::random_device::result_type std::random_device::operator()() { return 1; }
#endif
