// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/beast/http/parser.hpp>

#include <cstddef>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

namespace idempo::detail {

namespace http = boost::beast::http;

/// Whether no trailer may name this field: one of `protected_fields`, or of `also_protected`, in any case.
[[nodiscard]] bool is_protected(std::string_view name, std::span<std::string_view const> also_protected) noexcept;

/// Remembers the field lines of the head, to find those that a trailer added.
///
/// It remembers where each is, since names and positions do not tell: Beast puts a repeated name after the last line
/// of that name, in the middle of the head. A field line is a node that stays where it is, in an order that stays.
class trailer_guard {
public:
    /// Removes nothing.
    trailer_guard() = default;

    /// \pre the head has been read, and the body not to its end. Only a chunked request costs an allocation.
    template <class Body, class Allocator>
    explicit trailer_guard(http::request_parser<Body, Allocator> const& parser) : chunked_(parser.chunked()) {
        if (!chunked_) return;
        auto const& head = parser.get();
        lines_.reserve(static_cast<std::size_t>(std::distance(head.begin(), head.end())));
        for (auto const& line : head) lines_.push_back(&line);
    }

    /// Removes what the trailer added; `error::trailer_refused` when a protected field was among it.
    template <class Fields>
    [[nodiscard]] error_code remove_trailer(Fields& fields, std::span<std::string_view const> also_protected) const {
        error_code refused;
        if (!chunked_) return refused;
        auto remembered = lines_.begin();
        for (auto line = fields.begin(); line != fields.end();) {
            if (remembered != lines_.end() && *remembered == &*line) {
                ++remembered;
                ++line;
            } else {
                if (is_protected(line->name_string(), also_protected)) refused = error::trailer_refused;
                line = fields.erase(line);
            }
        }
        return refused;
    }

private:
    bool chunked_ = false;
    std::vector<void const*> lines_;
};

}  // namespace idempo::detail
