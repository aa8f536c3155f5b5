// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/filter.hpp>
#include <idempo/layers/filtered.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>

#include <boost/beast/http/message.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace idempo {

/// Which pages of other origins may use the service, and what their scripts may send and read.
struct cors_options {
    /// `https://shop.example`, with a port where it is not the scheme's own. They are brought into the form in which
    /// browsers send them (lower case, no default port); what no browser sends is refused: a path, a query, a user.
    /// `*` alone is every origin, and excludes `credentials`: no origin is reflected that is not in the list.
    std::vector<std::string> origins{};
    std::vector<std::string> methods = default_methods();
    /// Fields of the request: by default what a signed, keyed request with a JSON body needs.
    std::vector<std::string> headers = default_headers();
    /// Fields of the response that scripts can read beside the few that they always can: by default the library's own.
    std::vector<std::string> exposed = default_exposed();
    /// Whether scripts may send cookies and client certificates along.
    bool credentials = false;
    /// How long browsers may remember the answer to a preflight.
    std::chrono::seconds max_age{600};

    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};

    /// \name The defaults
    /// Functions, since GCC 12 crashes on braced ones where the options are initialised by braces in a template.
    /// @{
    static std::vector<std::string> default_methods();
    static std::vector<std::string> default_headers();
    static std::vector<std::string> default_exposed();
    /// @}
};

namespace detail {

class cors_filter {
public:
    using result_type = filter_result;
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    explicit cors_filter(cors_options options);

    [[nodiscard]] idempo::observer const& observer() const noexcept { return style_.observer; }

    template <class Request>
    [[nodiscard]] filter_result check(Request const& request) const {
        return check(request_head(request), answered_request(request));
    }

    /// What any response to this request has, but the answer to a preflight.
    [[nodiscard]] response_fields fields_for(request_head const& head) const;

private:
    [[nodiscard]] filter_result check(request_head const& head, answered_request const& request) const;
    [[nodiscard]] filter_result answer_preflight(request_head const& head, answered_request const& request) const;
    [[nodiscard]] bool is_allowed(request_head const& head) const;
    [[nodiscard]] response_fields origin_fields(request_head const& head) const;

    bool any_origin_;
    std::vector<std::string> origins_;
    std::string methods_;
    std::string headers_;
    std::string exposed_;
    bool credentials_;
    std::string max_age_;
    refusal_style style_;
};

}  // namespace detail

/// What `cors` returns: a layer, and the fields for the responses that are made before any layer is called.
class cors_layer : public detail::filter_layer<detail::cors_filter> {
public:
    explicit cors_layer(std::shared_ptr<detail::cors_filter const> filter)
        : filter_layer(filter),
          filter_(std::move(filter)) {}

    /// Lets scripts of the listed origins read `response`, the answer to a request that could not be read: see
    /// `answer_read_error`. Without it a page sees a failed CORS check where there was a 413. Callable from any thread.
    template <class Fields, class Body, class ResponseFields>
    void allow(http::header<true, Fields> const& request, http::response<Body, ResponseFields>& response) const {
        filter_->fields_for(request_head(request)).apply_to(response);
    }

private:
    std::shared_ptr<detail::cors_filter const> filter_;
};

/// Answers the preflights of browsers and lets scripts of the listed origins read responses:
/// https://fetch.spec.whatwg.org, section 3.3 (HTTP-CORS protocol). Make this the outermost layer: preflights carry no
/// signature or key, and scripts must be able to read refusals.
///
/// A preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) of another origin is 403. Other requests
/// always pass: a browser sends `Origin` to a page's own server, too, and CORS protects what is read, not what is done.
/// A GET with an `Upgrade` field is left alone: WebSocket has no CORS, its handler must look at `Origin` itself.
/// \throws std::invalid_argument where the options make no sense
[[nodiscard]] inline cors_layer cors(cors_options options) {
    return cors_layer(std::make_shared<detail::cors_filter const>(std::move(options)));
}

}  // namespace idempo
