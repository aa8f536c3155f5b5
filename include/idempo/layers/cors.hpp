#pragma once

#include <idempo/layers/gate.hpp>
#include <idempo/layers/gated.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace idempo {

/// Which pages of other origins may use the service, and what their scripts may send and read.
struct cors_options {
    /// As browsers write them, `https://shop.example` say, and compared exactly. `*` alone is every origin, and
    /// excludes `credentials`: no origin is reflected that is not in the list.
    std::vector<std::string> origins{};
    std::vector<std::string> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    /// Fields of the request. The first three are what a signed, keyed request with a JSON body needs.
    std::vector<std::string> headers{"Content-Type", "Idempotency-Key", "X-Signature", "Authorization"};
    /// Fields of the response that scripts can read beside the few that they always can.
    std::vector<std::string> exposed{
        "Idempotency-Replayed", "Retry-After",         "RateLimit-Policy", "RateLimit",
        "RateLimit-Limit",      "RateLimit-Remaining", "RateLimit-Reset",  "X-RateLimit-Limit",
        "X-RateLimit-Remaining"};
    /// Whether scripts may send cookies and client certificates along.
    bool credentials = false;
    /// How long browsers may remember the answer to a preflight.
    std::chrono::seconds max_age{600};

    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};
};

namespace detail {

class cors_gate {
public:
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    explicit cors_gate(cors_options options);

    [[nodiscard]] idempo::observer const& observer() const noexcept { return style_.observer; }

    template <class Request>
    [[nodiscard]] verdict check(Request const& request) const {
        return check(request_head(request), answered_request(request));
    }

private:
    [[nodiscard]] verdict check(request_head const& head, answered_request const& request) const;
    [[nodiscard]] verdict answer_preflight(bool is_allowed, answered_request const& request) const;
    void add_origin(response_fields& fields, std::string_view origin) const;

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

/// Answers the preflights of browsers and lets scripts of the listed origins read responses:
/// https://fetch.spec.whatwg.org, section 3.3 (HTTP-CORS protocol). Make this the outermost layer: preflights carry no
/// signature or key, and scripts must be able to read refusals.
///
/// A preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) of another origin is 403. Other requests
/// always pass: a browser sends `Origin` to a page's own server, too, and CORS protects what is read, not what is done.
/// A GET with an `Upgrade` field is left alone: WebSocket has no CORS, its handler must look at `Origin` itself.
/// \throws std::invalid_argument if the options are invalid
[[nodiscard]] inline detail::gate_layer<detail::cors_gate> cors(cors_options options) {
    return detail::gate_layer<detail::cors_gate>(std::make_shared<detail::cors_gate const>(std::move(options)));
}

}  // namespace idempo
