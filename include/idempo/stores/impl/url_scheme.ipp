// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/url_scheme.hpp>

#include <algorithm>
#include <stdexcept>

namespace idempo {

std::string url_scheme(std::string_view url) {
    auto const colon = url.find(':');
    if (colon == 0 || colon == std::string_view::npos) {
        throw std::invalid_argument("a store URL begins with a scheme, as in memory:");
    }
    std::string scheme(url.substr(0, colon));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](char character) {
        return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
    });
    return scheme;
}

}  // namespace idempo
