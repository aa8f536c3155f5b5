// SPDX-License-Identifier: MIT

// A multipart body and its boundary, as anybody may send them: the first line of the input is the boundary.

#include "fuzz/require.hpp"

#include <idempo/detail/multipart.hpp>
#include <idempo/fingerprint.hpp>

#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http = boost::beast::http;
using idempo::detail::multipart_part;
using idempo::detail::multipart_reader;
using idempo::fuzz::require;

namespace {

constexpr std::size_t longest_boundary = 70;

struct parsed {
    std::string preamble;
    std::vector<std::pair<std::string, std::string>> parts;
    std::string epilogue;

    friend bool operator==(parsed const&, parsed const&) = default;
};

std::optional<parsed> parse(std::string_view body, std::string_view boundary) {
    multipart_reader reader(body, boundary);
    parsed result;
    while (true) {
        multipart_part part;
        switch (reader.next(part)) {
        case multipart_reader::found::malformed: return std::nullopt;
        case multipart_reader::found::part: result.parts.emplace_back(part.fields, part.content); continue;
        case multipart_reader::found::end: break;
        }
        result.preamble = reader.preamble();
        result.epilogue = reader.epilogue();
        return result;
    }
}

/// The same parts as another client would write them.
std::string written(parsed const& from, std::string const& boundary) {
    auto body = from.preamble;
    for (auto const& [fields, content] : from.parts) {
        body += "--" + boundary + "\r\n" + fields + (fields.empty() ? "\r\n" : "\r\n\r\n") + content + "\r\n";
    }
    return body + "--" + boundary + "--" + from.epilogue;
}

idempo::fingerprint fingerprint_of(std::string body, std::string_view boundary) {
    static idempo::fingerprint_rule const rule({});
    http::request<http::string_body> request(http::verb::post, "/", 11, std::move(body));
    request.set(http::field::content_type, "multipart/form-data; boundary=\"" + std::string(boundary) + "\"");
    return rule(request);
}

/// One that is nowhere in the body.
std::string other_boundary(std::string_view body) {
    std::string boundary = "boundary";
    while (body.find(boundary) != std::string_view::npos) boundary += "x";
    return boundary;
}

bool may_be_boundary(std::string_view text) {
    return !text.empty() && text.size() <= longest_boundary &&
           text.find_first_not_of("abcXYZ012'()+_,-./:=? ") == std::string_view::npos && text.back() != ' ';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const input(reinterpret_cast<char const*>(data), size);
    auto const end = input.find('\n');
    if (end == std::string_view::npos || !may_be_boundary(input.substr(0, end))) return 0;
    auto const boundary = input.substr(0, end);
    std::string const body(input.substr(end + 1));

    auto const found = parse(body, boundary);
    auto const other = other_boundary(body);
    if (other.size() > longest_boundary) return 0;
    auto const own = fingerprint_of(body, boundary);
    require(own == fingerprint_of(body, boundary), "the same body has the same fingerprint");
    if (!found) {
        require(own != fingerprint_of(body, other), "the boundary of a malformed body counts");
        return 0;
    }
    auto const again = written(*found, other);
    require(parse(again, other) == found, "parts survive being written with another boundary");
    require(own == fingerprint_of(again, other), "the boundary does not count");
    require(own != fingerprint_of(again + "x", other), "what is after the last delimiter counts");
    for (auto changed = *found; auto& part : changed.parts) {
        part.second += 'x';
        require(own != fingerprint_of(written(changed, other), other), "each part counts");
        part.second.pop_back();
    }
    return 0;
}
