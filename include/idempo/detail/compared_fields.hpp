// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // before Beast's field.hpp, which needs it, and in Boost 1.83 does not say so

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo {

/// Fields that a rule can compare.
inline constexpr std::size_t max_compared_fields = 64;

}  // namespace idempo

namespace idempo::detail {

namespace http = boost::beast::http;

/// Calls `visit(std::size_t place)` for each bit that is set, from the lowest on.
template <class Visit>
void visit_places(std::uint64_t places, Visit&& visit) {
    for (; places != 0; places &= places - 1) visit(static_cast<std::size_t>(std::countr_zero(places)));
}

/// A list of field names, made to tell quickly which of them a field has.
class compared_names {
public:
    /// \pre at most `max_compared_fields`
    explicit compared_names(std::vector<std::string> names) : names_(std::move(names)) {
        for (std::size_t place = 0; place < names_.size(); ++place) {
            ids_.push_back(http::string_to_field(names_[place]));
            of_length_[length_class(names_[place])] |= std::uint64_t{1} << place;
        }
    }

    [[nodiscard]] std::string_view operator[](std::size_t place) const noexcept { return names_[place]; }

    /// A bit for each place of the list that has this name. \param id Beast's number for the name, if it has one
    [[nodiscard]] std::uint64_t places_of(http::field id, std::string_view name) const noexcept {
        std::uint64_t found = 0;
        // Most fields of a request are in no list, and most of those have a length that no listed name has.
        visit_places(of_length_[length_class(name)], [&](std::size_t place) {
            bool const is_unnumbered = id == http::field::unknown;
            if (ids_[place] != id || (is_unnumbered && !boost::beast::iequals(names_[place], name))) return;
            found |= std::uint64_t{1} << place;
        });
        return found;
    }

private:
    static constexpr std::size_t longest_class = 31;

    static std::size_t length_class(std::string_view name) noexcept {
        return std::min<std::size_t>(name.size(), longest_class);
    }

    std::vector<std::string> names_;
    std::vector<http::field> ids_;  // in the same order; `unknown` where Beast has no number for the name
    /// A bit for each place whose name has this length; the last is for all that are longer, too.
    std::array<std::uint64_t, longest_class + 1> of_length_{};
};

/// The lines of one field name. Trivial, so that an array of many costs nothing.
struct field_lines {
    std::size_t count;
    char const* first;
    std::size_t first_size;

    void add(std::string_view value) noexcept {
        if (count++ > 0) return;
        first = value.data();
        first_size = value.size();
    }

    /// The value of the first line; empty where there is none.
    [[nodiscard]] std::string_view first_value() const noexcept { return {first, first_size}; }

    /// The value of the only line; empty where there is none, or more than one.
    [[nodiscard]] std::string_view only_value() const noexcept {
        return count == 1 ? first_value() : std::string_view();
    }
};

/// What a fingerprint needs of a request's fields, found in one walk over them, since a look-up of each costs more.
/// Views into the request.
class found_fields {
public:
    template <class Fields>
    found_fields(compared_names const& names, Fields const& fields) {
        for (auto const& field : fields) {
            std::string_view const value = field.value();
            auto const places = names.places_of(field.name(), field.name_string());
            visit_places(places, [&](std::size_t place) {
                if (((present_ >> place) & 1U) == 0) lines_[place] = field_lines{};
                lines_[place].add(value);
            });
            present_ |= places;
            add_known(field.name(), value);
        }
    }

    /// A bit for each name of the list that the request has.
    [[nodiscard]] std::uint64_t present() const noexcept { return present_; }

    /// \pre `place` is present
    [[nodiscard]] field_lines const& at(std::size_t place) const noexcept { return lines_[place]; }

    [[nodiscard]] field_lines const& host() const noexcept { return host_; }
    [[nodiscard]] field_lines const& content_type() const noexcept { return content_type_; }
    [[nodiscard]] field_lines const& content_encoding() const noexcept { return content_encoding_; }

private:
    void add_known(http::field id, std::string_view value) noexcept {
        switch (id) {
        case http::field::host: return host_.add(value);
        case http::field::content_type: return content_type_.add(value);
        case http::field::content_encoding: return content_encoding_.add(value);
        default: return;
        }
    }

    std::uint64_t present_ = 0;
    field_lines host_{};
    field_lines content_type_{};
    field_lines content_encoding_{};
    std::array<field_lines, max_compared_fields> lines_;  // not initialised where not present
};

}  // namespace idempo::detail
