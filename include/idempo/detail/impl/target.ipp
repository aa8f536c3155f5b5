// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/target.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>

namespace idempo::detail {

namespace {

std::string_view without_default_port(std::string_view authority) noexcept {
    auto const colon = authority.rfind(':');
    if (colon == std::string_view::npos) return authority;
    auto const port = authority.substr(colon + 1);
    return port.empty() || port == "80" || port == "443" ? authority.substr(0, colon) : authority;
}

/// What is after `http://` or `https://`; empty for any other form.
std::string_view after_scheme(std::string_view target) noexcept {
    if (target.starts_with('/')) return {};
    for (std::string_view const scheme : {"http://", "https://"}) {
        if (boost::beast::iequals(target.substr(0, scheme.size()), scheme)) return target.substr(scheme.size());
    }
    return {};
}

}  // namespace

target_parts split_target(std::string_view target, std::string_view host) noexcept {
    target_parts parts;
    if (auto const rest = after_scheme(target); !rest.empty()) {
        auto const end = std::min(rest.find_first_of("/?"), rest.size());
        host = rest.substr(0, end);
        target = rest.substr(end);
        if (target.substr(0, 1) != "/") parts.path = "/";
    }
    parts.authority = without_default_port(host);
    auto const question_mark = std::min(target.find('?'), target.size());
    if (question_mark != 0) parts.path = target.substr(0, question_mark);
    parts.query = target.substr(question_mark);
    return parts;
}

}  // namespace idempo::detail
