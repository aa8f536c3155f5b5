// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/read_request.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>

namespace idempo {

namespace {

constexpr auto always_protected = std::to_array<std::string_view>({
    "Idempotency-Key",
    "X-Idempotency-Key",
    "Authorization",
    "Proxy-Authorization",
    "X-Api-Key",
    "Cookie",
    "X-Signature",
    "Host",
    "Forwarded",
    "X-Forwarded-For",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Transfer-Encoding",
    "Upgrade",
});

bool has_name(std::span<std::string_view const> names, std::string_view name) noexcept {
    return std::any_of(names.begin(), names.end(),
                       [name](std::string_view listed) { return boost::beast::iequals(listed, name); });
}

}  // namespace

std::span<std::string_view const> protected_fields() noexcept { return always_protected; }

bool detail::is_protected(std::string_view name, std::span<std::string_view const> also_protected) noexcept {
    return has_name(always_protected, name) || has_name(also_protected, name);
}

}  // namespace idempo
