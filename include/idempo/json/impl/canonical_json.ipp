// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/canonical_json.hpp>

#include <idempo/detail/media_type.hpp>

#include <string>
#include <utility>

namespace idempo {

namespace {

/// A change of any of the options is a change of the rule.
std::string name_of(json::canonical_options const& options) {
    auto name =
        "canonical-json-1 depth=" + std::to_string(options.max_depth) + " size=" + std::to_string(options.max_size);
    for (auto const& pointer : options.leave_out)
        name.append(" ").append(std::to_string(pointer.size())).append(pointer);
    return name;
}

}  // namespace

body_rule canonical_json(json::canonical_options options) {
    auto name = name_of(options);
    return body_rule::custom(std::move(name), [canonical = json::canonicalizer(std::move(options))](
                                                  request_head const& head, std::string_view body, body_hash& hash) {
        bool const may_be_json = head.count("Content-Type") == 1 && detail::is_json(head.field("Content-Type")) &&
                                 head.count("Content-Encoding") == 0;
        auto const form = may_be_json ? canonical(body) : std::nullopt;
        if (form) hash.add(*form);
        return form.has_value();
    });
}

}  // namespace idempo
