// SPDX-License-Identifier: MIT

// A JSON text, as anybody may send it.

#include "fuzz/require.hpp"

#include <idempo/json/canonical.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace json = boost::json;
using idempo::fuzz::require;

namespace {

/// Boost.JSON rounds numbers, and the form does not: what the parser reads of two spellings may differ in the last
/// digits. It takes 0E+999 for no number at all.
bool are_close(double one, double other) {
    if (!std::isfinite(one) || !std::isfinite(other)) return true;
    return std::abs(one - other) <= std::abs(one) * 1e-9 + std::numeric_limits<double>::min();
}

bool are_equal(json::value const& one, json::value const& other) {
    if (one.is_number() && other.is_number()) return are_close(one.to_number<double>(), other.to_number<double>());
    if (one.is_object() && other.is_object()) {
        auto const& left = one.get_object();
        auto const& right = other.get_object();
        return left.size() == right.size() && std::all_of(left.begin(), left.end(), [&right](auto const& member) {
                   auto const* const found = right.if_contains(member.key());
                   return found != nullptr && are_equal(member.value(), *found);
               });
    }
    if (one.is_array() && other.is_array()) {
        auto const& left = one.get_array();
        auto const& right = other.get_array();
        return std::equal(left.begin(), left.end(), right.begin(), right.end(), are_equal);
    }
    return one == other;
}

json::value read(std::string_view text) {
    boost::system::error_code error;
    auto value = json::parse({text.data(), text.size()}, error);
    require(!error, "what has a form is JSON, and so is its form");
    return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static idempo::json::canonicalizer const canonical;
    static idempo::json::canonicalizer const partly({{"/a", "/0", "/b/c", "/~0~1"}});
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    static_cast<void>(partly(text));
    auto const form = canonical(text);
    if (!form) return 0;
    require(form->size() <= 2 * text.size(), "a form is at most twice as long as its text");
    require(canonical(*form) == form, "a form is its own form");
    require(canonical(" " + std::string(text) + "\n") == form, "white space around changes nothing");
    require(are_equal(read(text), read(*form)), "a form means what its text means");
    return 0;
}
