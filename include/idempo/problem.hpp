// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/request_head.hpp>
#include <idempo/version.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace idempo {

namespace http = boost::beast::http;

/// Why a request is answered by the library and not by its handler or from the store.
enum class refusal {
    key_missing,        ///< no key, and `options::require_key`
    key_malformed,      ///< not a key by the syntax, repeated, or too long
    body_too_large,     ///< over `options::max_request_body`
    key_reused,         ///< the key belongs to another request
    in_flight,          ///< the first request with this key is still running
    duplicate,          ///< guard mode: the key has been used
    not_retained,       ///< the record is a tombstone
    key_expired,        ///< the key was used, and its record has expired (`options::remember_expired`)
    outcome_unknown,    ///< the record is parked, or the lease is over and `on_takeover` lets no other attempt run
    store_unavailable,  ///< the store failed
    handler_threw,      ///< the handler threw, in the call with a completion token
    record_unreadable,  ///< the stored bytes are not a record
    caller_unknown,     ///< `scope::principal` found nobody
    signature_missing,  ///< `hmac_auth`: no signature, or no timestamp where one is signed
    signature_wrong,    ///< `hmac_auth`: not made with an accepted secret, repeated, or not readable
    signature_expired,  ///< `hmac_auth`: rightly signed, too long ago or for the future
    rate_exceeded,      ///< `rate_limit`: the client has used up its window
    limiter_failed,     ///< `rate_limit`: the limiter did not answer
    client_unknown,     ///< `rate_limit`: nobody knows whose request it is
    origin_refused,     ///< `cors`: a preflight from an origin that is not allowed
    shutting_down,      ///< `begin_drain`: the service takes no new requests with a key
};

inline constexpr std::size_t refusal_count = 21;

/// Whether a retry of the same request would be refused again: it never helps to send it once more. In-flight, store
/// and server errors are not final, nor is a refusal that comes with `Retry-After`.
[[nodiscard]] bool is_final(refusal what) noexcept;

/// How one refusal looks to the client: the members of an RFC 9457 problem document. `{field}` in the title and the
/// detail stands for the name of the field that has the key.
struct problem {
    unsigned status = 500;
    std::string title{};
    std::string type{};
    /// One sentence that tells the client what to do.
    std::string detail{};
};

/// The problem of each refusal. By default the statuses and titles of the draft (section 2.7).
class problem_table {
public:
    problem_table();

    problem& operator[](refusal what) noexcept { return problems_[static_cast<std::size_t>(what)]; }
    problem const& operator[](refusal what) const noexcept { return problems_[static_cast<std::size_t>(what)]; }

private:
    std::array<problem, refusal_count> problems_;
};

/// What varies from one refusal to the next. It says nothing of keys, bodies, hosts or server error text.
struct refusal_details {
    refusal what = refusal::in_flight;
    /// For the `Retry-After` field.
    std::optional<std::chrono::seconds> retry_after{};
    /// Of the response that was not retained.
    std::optional<unsigned> original_status{};
    /// The name of the field that has the key: `options::header`. A view, valid during the call.
    std::string_view field = "Idempotency-Key";
    /// The refused request, for a correlation id say; null where the handler has been given the request. Valid during
    /// the call.
    request_head const* request = nullptr;
};

/// Writes content type and body of a refusal into a response that has its status already. What it throws is swallowed,
/// and `write_problem_json` writes instead.
using problem_writer = std::function<void(http::response<http::string_body>&, problem const&, refusal_details const&)>;

/// `application/problem+json`, `Content-Language: en` (RFC 9457). The default.
void write_problem_json(http::response<http::string_body>& response, problem const& problem,
                        refusal_details const& details);

/// `{"error":{"type":…,"message":…}}`, as Stripe's SDKs expect it (they throw only on an `error` member):
/// `idempotency_error` for a reused key and one in flight. https://docs.stripe.com/api/errors
void write_stripe_error(http::response<http::string_body>& response, problem const& problem,
                        refusal_details const& details);

/// The whole answer. Without a body where a HEAD is refused.
[[nodiscard]] http::response<http::string_body> make_refusal(problem_table const& problems,
                                                             problem_writer const& write_problem,
                                                             refusal_details const& details,
                                                             detail::answered_request const& request);

/// As above, of a request that is not HEAD: `version` and `keep_alive` come from it.
[[nodiscard]] http::response<http::string_body> make_refusal(problem_table const& problems,
                                                             problem_writer const& write_problem,
                                                             refusal_details const& details, unsigned version,
                                                             bool keep_alive);

}  // namespace idempo
