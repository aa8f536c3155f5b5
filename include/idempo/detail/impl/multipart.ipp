// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/multipart.hpp>

#include <algorithm>

namespace idempo::detail {

namespace {

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view two_hyphens = "--";

std::size_t after_blanks(std::string_view text, std::size_t at) noexcept {
    return std::min(text.find_first_not_of(" \t", at), text.size());
}

}  // namespace

multipart_reader::multipart_reader(std::string_view body, std::string_view boundary) noexcept
    : body_(body),
      delimiter_size_(two_hyphens.size() + std::min(boundary.size(), longest_delimiter - two_hyphens.size())) {
    auto* const end = std::copy(two_hyphens.begin(), two_hyphens.end(), delimiter_.begin());
    boundary.copy(end, delimiter_size_ - two_hyphens.size());
}

multipart_reader::found multipart_reader::next(multipart_part& part) noexcept {
    if (!started_ && !read_preamble()) return found::malformed;
    if (closed_) {
        epilogue_ = body_.substr(at_);
        return find_delimiter(at_) == std::string_view::npos ? found::end : found::malformed;
    }
    auto const begin = at_;
    auto const end = find_delimiter(begin);
    if (end == std::string_view::npos || end < begin + crlf.size() || !take_delimiter(end)) return found::malformed;
    auto const whole = body_.substr(begin, end - crlf.size() - begin);
    if (whole.substr(0, crlf.size()) == crlf) {
        part = {{}, whole.substr(crlf.size())};
        return found::part;
    }
    auto const blank_line = whole.find("\r\n\r\n");
    if (blank_line == std::string_view::npos) return found::malformed;
    part = {whole.substr(0, blank_line), whole.substr(blank_line + 2 * crlf.size())};
    return found::part;
}

std::size_t multipart_reader::find_delimiter(std::size_t from) const noexcept { return body_.find(delimiter(), from); }

bool multipart_reader::read_preamble() noexcept {
    started_ = true;
    auto const at = find_delimiter(0);
    if (at == std::string_view::npos || !take_delimiter(at)) return false;
    preamble_ = body_.substr(0, at);
    return true;
}

/// What is around the hyphens and the boundary at `at` must make a delimiter of them; then what follows is next.
bool multipart_reader::take_delimiter(std::size_t at) noexcept {
    if (at != 0 && (at < crlf.size() || body_.substr(at - crlf.size(), crlf.size()) != crlf)) return false;
    auto after = at + delimiter_size_;
    closed_ = body_.substr(after, two_hyphens.size()) == two_hyphens;
    if (closed_) after += two_hyphens.size();
    after = after_blanks(body_, after);
    bool const ends_line = body_.substr(after, crlf.size()) == crlf;
    bool const ends_body = closed_ && after == body_.size();
    if (!ends_line && !ends_body) return false;
    // The end of the line belongs to the delimiter, and after the last one to the epilogue.
    at_ = closed_ ? after : after + crlf.size();
    return true;
}

}  // namespace idempo::detail
