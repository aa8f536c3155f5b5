// SPDX-License-Identifier: MIT

// As if the library of another version were linked, too: it must not link.
#include <idempo/error.hpp>

namespace idempo::detail {
extern char const only_one_version;
char const only_one_version = 0;
}  // namespace idempo::detail

int main() {}
