// SPDX-License-Identifier: MIT

// The value of an Idempotency-Key field from any client.

#include "fuzz/require.hpp"

#include <idempo/key.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using idempo::key_syntax;
using idempo::parse_key;
using idempo::fuzz::require;

namespace {

/// As RFC 9651, section 4.1.6 writes a String.
std::string quoted(std::string_view key) {
    std::string text = "\"";
    for (char const c : key) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text + '"';
}

void check_key(std::string const& key, std::string_view value) {
    require(!key.empty() && key.size() <= idempo::max_key_length, "a key has 1 to 255 characters");
    require(std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; }), "a key is printable");
    auto const written = quoted(key);
    require(parse_key(written, key_syntax::strict) == key, "a key survives being written as a String");
    require(parse_key(written + ";a=?1;b", key_syntax::strict) == key, "parameters change nothing");
    require(parse_key("  " + std::string(value) + " ", key_syntax::lenient) == key, "spaces around change nothing");
    require(!parse_key(written + ',' + written, key_syntax::lenient), "a list of keys is not a key");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const value(reinterpret_cast<char const*>(data), size);
    auto const strict = parse_key(value, key_syntax::strict);
    auto const lenient = parse_key(value, key_syntax::lenient);
    if (strict) require(lenient == strict, "what is strictly a key is the same key leniently");
    if (lenient) check_key(*lenient, value);
    return 0;
}
