// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <cstddef>
#include <string_view>

namespace idempo {

namespace http = boost::beast::http;

/// A view of a request's start line and fields, for callbacks: one type for requests of any body and allocator. It does
/// not allocate. It is valid while the request lives and is neither changed nor moved from.
class request_head {
public:
    /// From an `http::request<Body, Fields>` or `http::request_header<Fields>`, where `Fields` is any
    /// `http::basic_fields`. Not explicit: a request converts to a `request_head`.
    template <class Fields>
    request_head(http::header<true, Fields> const& request) noexcept
        : method_(request.method()),
          method_string_(request.method_string()),
          target_(request.target()),
          fields_(&static_cast<Fields const&>(request)),
          find_(&find_in<Fields>),
          count_(&count_in<Fields>) {}

    /// `http::verb::unknown` for a method that Beast does not know; `method_string` has its name.
    [[nodiscard]] http::verb method() const noexcept { return method_; }

    [[nodiscard]] std::string_view method_string() const noexcept { return method_string_; }

    /// Path and query as sent.
    [[nodiscard]] std::string_view target() const noexcept { return target_; }

    /// The value of the first field line with this name, in any case; empty if there is none.
    [[nodiscard]] std::string_view field(std::string_view name) const { return find_(fields_, name); }

    /// The number of field lines with this name, in any case.
    [[nodiscard]] std::size_t count(std::string_view name) const { return count_(fields_, name); }

private:
    template <class Fields>
    static std::string_view find_in(void const* fields, std::string_view name) {
        return (*static_cast<Fields const*>(fields))[name];
    }

    template <class Fields>
    static std::size_t count_in(void const* fields, std::string_view name) {
        return static_cast<Fields const*>(fields)->count(name);
    }

    http::verb method_;
    std::string_view method_string_;
    std::string_view target_;
    void const* fields_;
    std::string_view (*find_)(void const*, std::string_view);
    std::size_t (*count_)(void const*, std::string_view);
};

namespace detail {

/// What an answer takes over from the request that it answers. Read before the request is moved to the handler.
struct answered_request {
    unsigned version = 11;
    bool keep_alive = true;
    bool is_head = false;

    template <class Request>
    explicit answered_request(Request const& request)
        : version(request.version()),
          keep_alive(request.keep_alive()),
          is_head(request.method() == http::verb::head) {}

    /// An answer to HEAD has no body (RFC 9110, section 9.3.2). Its length stays: it is that of the answer to a GET.
    void fit(http::response<http::string_body>& answer) const {
        if (is_head) answer.body().clear();
    }
};

}  // namespace detail

}  // namespace idempo
