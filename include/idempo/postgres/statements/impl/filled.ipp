// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/statements/filled.hpp>

#include <cstddef>

namespace idempo::postgres {

std::string filled(std::string_view text, std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
    std::string whole;
    while (!text.empty()) {
        auto const open = text.find('{');
        whole += text.substr(0, open);
        if (open == std::string_view::npos) break;
        text.remove_prefix(open);
        std::string_view replacement = text.substr(0, 1);
        std::size_t length = 1;
        for (auto const& [name, value] : values) {
            if (!text.substr(1).starts_with(name) || text.substr(1 + name.size(), 1) != "}") continue;
            replacement = value;
            length = name.size() + 2;
        }
        whole += replacement;
        text.remove_prefix(length);
    }
    return whole;
}

std::string quoted_name(std::string_view name) {
    std::string quoted = "\"";
    for (char const each : name) {
        if (each == '"') quoted += '"';
        quoted += each;
    }
    return quoted + '"';
}

std::string quoted_string(std::string_view text) {
    bool const has_backslash = text.find('\\') != std::string_view::npos;
    std::string quoted = has_backslash ? " E'" : "'";
    for (char const each : text) {
        if (each == '\'' || each == '\\') quoted += each;
        quoted += each;
    }
    return quoted + '\'';
}

}  // namespace idempo::postgres
