// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/canonical.hpp>
#include <idempo/same_request.hpp>

namespace idempo {

/// For `same_request::body`: JSON bodies count by what they mean, as `json::canonicalizer` has it. A body whose
/// Content-Type is neither `application/json` nor any `+json`, one with a Content-Encoding, and one that the
/// canonicalizer refuses count by their content (`body_rule::by_content`). The options are part of the rule.
/// \throws std::invalid_argument as `json::canonicalizer`.
[[nodiscard]] body_rule canonical_json(json::canonical_options options = {});

}  // namespace idempo
