// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/stored_response.hpp>

#include <boost/beast/core/string.hpp>

#include <string_view>

namespace idempo::detail {

/// Whether a replay with this status has a body and its length: a 204 and a 304 have neither (RFC 9110, section 6.4.1).
[[nodiscard]] constexpr bool replay_has_body(unsigned status) noexcept {
    constexpr unsigned no_content = 204;
    constexpr unsigned not_modified = 304;
    return status != no_content && status != not_modified;
}

/// Calls `add(name, value)` for each field of a replay but its `Content-Length`, in order. The parameters are those of
/// `make_replay`.
template <class Add>
void for_each_replay_field(stored_response const& stored, unsigned version, bool keep_alive,
                           std::string_view marker_name, std::string_view marker_value, Add add) {
    for (auto const& [name, value] : stored.fields()) {
        if (name.size() != marker_name.size() || !boost::beast::iequals(name, marker_name)) add(name, value);
    }
    if (!marker_name.empty()) add(marker_name, marker_value);
    bool const is_kept_alive_anyway = version >= 11;
    if (keep_alive != is_kept_alive_anyway) {
        add(std::string_view("Connection"), std::string_view(keep_alive ? "keep-alive" : "close"));
    }
}

}  // namespace idempo::detail
