// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/same_request.hpp>

#include <idempo/option_checks.hpp>

#include <utility>

namespace idempo {

body_rule body_rule::exact() {
    body_rule made;
    made.kind_ = kind::exact;
    made.name_ = "exact-1";
    return made;
}

body_rule body_rule::custom(std::string name, function add) {
    detail::require(!name.empty(), "body_rule::custom needs a name");
    detail::require(static_cast<bool>(add), "body_rule::custom needs a function");
    body_rule made;
    made.kind_ = kind::custom;
    made.name_ = std::move(name);
    made.add_ = std::move(add);
    return made;
}

std::vector<std::string> same_request::default_fields() {
    return {"Content-Type",    "Content-Encoding",    "Content-Range",   "If-Match",
            "If-None-Match",   "If-Unmodified-Since", "Upload-Concat",   "Upload-Length",
            "Upload-Metadata", "Upload-Offset",       "Upload-Complete", "X-HTTP-Method-Override"};
}

}  // namespace idempo
