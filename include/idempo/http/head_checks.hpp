// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/verb.hpp>

#include <optional>
#include <string>
#include <string_view>

/// \file
/// What the head of a request must fulfil before anybody acts on it. No input or output happens here.

namespace idempo::detail {

namespace http = boost::beast::http;

/// The elements of all `Transfer-Encoding` lines of one request, in their order.
class coding_list {
public:
    void add(std::string_view field_value);

    /// \param is_framed whether the parser found a final chunked and reads the body by it
    [[nodiscard]] error_code check(bool is_framed) const noexcept;

private:
    void add_element(std::string_view element);

    bool has_other_ = false;
    bool has_parameters_ = false;
};

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2). Empty is valid: the target may have no authority.
[[nodiscard]] bool is_host(std::string_view value) noexcept;

/// What a target in absolute-form says, in the words of the origin-form.
struct absolute_target {
    std::string authority;
    std::string path_and_query;
};

/// The parts of an `http` or `https` URI; empty where the target is in another form, `error::target_refused` where it
/// is in none.
[[nodiscard]] std::optional<absolute_target> read_target(std::string_view target, http::verb method, error_code& ec);

/// Whether the client waits for an interim response (RFC 9110, section 10.1.1).
[[nodiscard]] bool names_continue(std::string_view expect) noexcept;

template <class Fields>
[[nodiscard]] error_code check_host(http::header<true, Fields> const& head) {
    auto const count = head.count(http::field::host);
    bool const may_lack = head.version() < 11;
    if (count > 1 || (count == 0 && !may_lack)) return error::host_refused;
    if (count == 1 && !is_host(head[http::field::host])) return error::host_refused;
    return {};
}

/// An absolute-form becomes an origin-form and a `Host`: its authority counts, whatever `Host` was sent (RFC 9112,
/// section 3.2.2), and what follows sees one spelling of one target.
template <class Fields>
[[nodiscard]] error_code normalise_target(http::header<true, Fields>& head) {
    error_code ec;
    auto const absolute = read_target(head.target(), head.method(), ec);
    if (!absolute) return ec;
    head.target(absolute->path_and_query);
    head.set(http::field::host, absolute->authority);
    return ec;
}

template <class Fields>
[[nodiscard]] error_code check_codings(http::header<true, Fields> const& head, bool is_framed) {
    auto const lines = head.equal_range(http::field::transfer_encoding);
    if (lines.first == lines.second) return {};
    if (head.version() < 11) return error::framing_refused;
    coding_list codings;
    for (auto line = lines.first; line != lines.second; ++line) codings.add(line->value());
    return codings.check(is_framed);
}

/// Reads what `raw` holds of a head that was too large to be parsed, so that an answer can fit it. Lenient: it keeps
/// the lines before the first that it cannot read.
void read_partial_head(std::string_view raw, http::request_header<>& head);

}  // namespace idempo::detail
