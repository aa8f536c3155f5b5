// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/head_checks.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace idempo::detail {

namespace {

constexpr std::string_view list_spaces = " \t";

std::string_view without_spaces(std::string_view text) {
    auto const first = text.find_first_not_of(list_spaces);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(list_spaces) - first + 1);
}

/// Calls `use` with each element of a list, without spaces; empty elements do not count (RFC 9110, section 5.6.1).
template <class Use>
void for_each_element(std::string_view list, Use use) {
    while (!list.empty()) {
        auto const end = std::min(list.find(','), list.size());
        auto const element = without_spaces(list.substr(0, end));
        if (!element.empty()) use(element);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_latin(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hexadecimal(char c) noexcept { return is_decimal(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// unreserved and sub-delims of RFC 3986, section 2.
bool is_name_character(char c) noexcept {
    constexpr std::string_view marks = "-._~!$&'()*+,;=";
    return is_latin(c) || is_decimal(c) || marks.find(c) != std::string_view::npos;
}

bool are_decimal(std::string_view text) noexcept { return std::all_of(text.begin(), text.end(), is_decimal); }

bool is_registered_name(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '%') {
            if (at + 2 >= text.size() || !is_hexadecimal(text[at + 1]) || !is_hexadecimal(text[at + 2])) return false;
            at += 2;
        } else if (!is_name_character(text[at])) {
            return false;
        }
    }
    return true;
}

/// What stands between brackets: an IPv6 address without a zone. Future versions of the protocol have no users yet.
bool is_ip_literal(std::string_view text) noexcept {
    constexpr std::size_t longest = 45;
    if (text.size() > longest || text.find('%') != std::string_view::npos) return false;
    error_code ec;
    boost::asio::ip::make_address_v6(std::string(text).c_str(), ec);
    return !ec;
}

bool is_scheme_character(char c) noexcept { return is_latin(c) || is_decimal(c) || c == '+' || c == '-' || c == '.'; }

/// The scheme of an absolute URI; empty where the text does not begin with one (RFC 3986, section 3.1).
std::string_view scheme_of(std::string_view text) noexcept {
    auto const scheme = text.substr(0, text.find(':'));
    if (scheme.size() == text.size() || scheme.empty() || !is_latin(scheme.front())) return {};
    return std::all_of(scheme.begin(), scheme.end(), is_scheme_character) ? scheme : std::string_view();
}

std::string origin_form(std::string_view rest, http::verb method) {
    if (rest.empty()) return method == http::verb::options ? "*" : "/";
    return rest.front() == '?' ? "/" + std::string(rest) : std::string(rest);
}

std::optional<absolute_target> read_http_uri(std::string_view after_scheme, http::verb method, error_code& ec) {
    constexpr std::string_view slashes = "//";
    bool const has_authority = after_scheme.starts_with(slashes);
    auto const text = has_authority ? after_scheme.substr(slashes.size()) : std::string_view();
    auto const authority = text.substr(0, text.find_first_of("/?"));
    bool const names_host = !authority.empty() && authority.front() != ':';
    if (!names_host || !is_host(authority)) {
        ec = error::target_refused;
        return std::nullopt;
    }
    return absolute_target{std::string(authority), origin_form(text.substr(authority.size()), method)};
}

}  // namespace

void coding_list::add(std::string_view field_value) {
    for_each_element(field_value, [this](std::string_view element) { add_element(element); });
}

void coding_list::add_element(std::string_view element) {
    constexpr std::string_view chunked = "chunked";
    auto const name = without_spaces(element.substr(0, element.find(';')));
    if (!boost::beast::iequals(name, chunked)) {
        has_other_ = true;
    } else if (element.size() != chunked.size()) {
        has_parameters_ = true;
    }
}

error_code coding_list::check(bool is_framed) const noexcept {
    if (!is_framed || has_parameters_) return error::framing_refused;
    return has_other_ ? error_code(error::coding_unsupported) : error_code();
}

bool is_host(std::string_view value) noexcept {
    if (value.starts_with('[')) {
        auto const end = value.find(']');
        if (end == std::string_view::npos || !is_ip_literal(value.substr(1, end - 1))) return false;
        auto const port = value.substr(end + 1);
        return port.empty() || (port.front() == ':' && are_decimal(port.substr(1)));
    }
    auto const host = value.substr(0, value.find(':'));
    auto const port = value.substr(std::min(host.size() + 1, value.size()));
    return is_registered_name(host) && are_decimal(port);
}

std::optional<absolute_target> read_target(std::string_view target, http::verb method, error_code& ec) {
    ec = {};
    if (target.starts_with('/')) return std::nullopt;
    if (target == "*" && method == http::verb::options) return std::nullopt;
    if (method == http::verb::connect && is_host(target)) return std::nullopt;
    auto const scheme = scheme_of(target);
    if (boost::beast::iequals(scheme, "http") || boost::beast::iequals(scheme, "https")) {
        return read_http_uri(target.substr(scheme.size() + 1), method, ec);
    }
    if (scheme.empty()) ec = error::target_refused;
    return std::nullopt;  // a URI of another scheme is the application's affair
}

bool names_continue(std::string_view expect) noexcept {
    bool found = false;
    for_each_element(expect,
                     [&found](std::string_view element) { found |= boost::beast::iequals(element, "100-continue"); });
    return found;
}

void read_partial_head(std::string_view raw, http::request_header<>& head) {
    constexpr std::string_view line_end = "\r\n";
    auto const last = raw.rfind(line_end);
    if (last == std::string_view::npos) return;
    auto const text = std::string(raw.substr(0, last + line_end.size())).append(line_end);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(std::numeric_limits<std::uint32_t>::max());
    parser.skip(true);
    error_code ignored;
    parser.put(boost::asio::buffer(text), ignored);
    head = std::move(parser.get().base());
}

}  // namespace idempo::detail
