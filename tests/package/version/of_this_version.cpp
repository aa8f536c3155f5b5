// SPDX-License-Identifier: MIT

// Headers and library of one version: it links, and both report that version.
#include <idempo/version.hpp>

#include <iostream>
#include <string>

int main() {
    auto const of_headers = std::to_string(idempo::version_major) + '.' + std::to_string(idempo::version_minor) + '.' +
                            std::to_string(idempo::version_patch);
    std::cout << idempo::version() << '\n';
    return idempo::version() == of_headers ? 0 : 1;
}
