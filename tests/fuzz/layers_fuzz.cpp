// SPDX-License-Identifier: MIT

// The input and output of layers: a signature, its time, and the head of a response that gets more fields.

#include "fuzz/replay_properties.hpp"

#include <idempo/record/raw_response.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/layers/signature.hpp>
#include <idempo/record/response_fields.hpp>

#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace idempo;
using idempo::fuzz::require;

namespace {

std::string in_hex(detail::signature const& bytes) {
    return to_hex({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
}

std::string in_base64(detail::signature const& bytes) {
    std::string text(boost::beast::detail::base64::encoded_size(bytes.size()), '\0');
    text.resize(boost::beast::detail::base64::encode(text.data(), bytes.data(), bytes.size()));
    return text;
}

/// A signature has one spelling, except for the case of hexadecimal digits.
void check_signature(std::string_view value, std::string_view prefix) {
    auto const written = [prefix](std::string const& text) { return std::string(prefix) + text; };
    if (auto const read = detail::decode_signature(value, prefix, signature_encoding::hex)) {
        require(detail::decode_signature(written(in_hex(*read)), prefix, signature_encoding::hex) == read,
                "a signature in hexadecimal survives");
        require(boost::beast::iequals(fuzz::trimmed(value), written(in_hex(*read))), "it is all there is");
    }
    if (auto const read = detail::decode_signature(value, prefix, signature_encoding::base64))
        require(fuzz::trimmed(value) == written(in_base64(*read)), "a signature in base64 has one form");
}

void check_timestamp(std::string_view value) {
    auto const read = detail::parse_timestamp(value);
    if (!read) return;
    auto const text = fuzz::trimmed(value);
    auto const number = std::to_string(read->count());
    require(text.size() <= 12, "a time has at most twelve digits");
    require(text.size() >= number.size() && text == std::string(text.size() - number.size(), '0') + number,
            "it is that number");
}

fuzz::field_list without(fuzz::field_list fields, std::string_view name) {
    std::erase_if(fields, [name](auto const& field) { return field.first == name; });
    return fields;
}

/// Bytes in two pieces get fields: the response is otherwise unchanged.
void check_fields(std::string const& first, std::string const& second) {
    auto const bytes_of = [](std::string const& text) { return std::vector<char>(text.begin(), text.end()); };
    auto rest = detail::make_raw_response({bytes_of(second), std::nullopt, {}}, true);
    detail::response_fields added;
    added.set("X-Set", "set");
    added.add("X-Added", "added");
    auto const sent =
        fuzz::bytes_of(added.applied_to(detail::make_raw_response({bytes_of(first), std::move(rest), {}}, true)));

    auto const before = fuzz::read_one_response(first + second);
    if (!before) return;
    auto const after = fuzz::read_one_response(sent);
    require(after.has_value(), "a response stays one response");
    require(after->result() == before->result() && after->body() == before->body(), "and what it says");
    auto expected = without(fuzz::fields_of(*before), "x-set");
    fuzz::append(expected, "X-Set", "set");
    fuzz::append(expected, "X-Added", "added");
    auto const sorted_values = [](fuzz::field_list fields) {
        std::sort(fields.begin(), fields.end());
        return fields;
    };
    require(sorted_values(fuzz::fields_of(*after)) == sorted_values(std::move(expected)), "but for the fields");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    std::string const text(reinterpret_cast<char const*>(data) + 1, size - 1);
    check_signature(text, "");
    check_signature(text, "sha256=");
    check_timestamp(text);
    auto const cut = std::min(text.size(), std::size_t{data[0]});
    check_fields(text.substr(0, cut), text.substr(cut));
    return 0;
}
