// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/hmac_sha256.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/filtered.hpp>
#include <idempo/layers/signature.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo {

/// What is signed. A dot follows the timestamp, where there is one, and a line feed each of the other parts before the
/// body. The timestamp comes first.
enum class signed_content {
    /// The timestamp, the signed fields, the body. A captured request can be sent to another target with the same
    /// signature.
    body,
    /// The timestamp, the method, the target (path and query), the signed fields, the body. The target is what the
    /// layer
    /// sees: `read_request` brings the absolute-form into the origin-form.
    method_target_and_body,
    /// The signed fields, the timestamp, the body, with a dot behind each: `msg_id.timestamp.body` of Standard
    /// Webhooks.
    fields_timestamp_and_body,
};

/// Which requests must be signed, and how.
struct hmac_options {
    /// Shared with the client. Must not be empty, unless `find_secrets` is set. Use 32 random bytes.
    std::string secret{};
    /// Also accepted, while clients change from one secret to the other; empty: none.
    std::string previous_secret{};
    /// Instead of the two: the secrets of the client that the request names, in a field of a key id say; none for a
    /// client that is not known. Called for each request, concurrently. If it throws, the response is the same as if
    /// the handler had thrown.
    std::function<std::vector<std::string>(request_head const&)> find_secrets{};

    /// The field with the signature, what stands before each (`sha256=`), how it is written, and whether there may be
    /// several, one of which has to match.
    std::string header = "X-Signature";
    std::string prefix{};
    signature_encoding encoding = signature_encoding::hex;
    signature_list list = signature_list::one;

    signed_content content = signed_content::body;
    /// Fields whose values are signed, in this order: the key, so that nobody can send a captured body under another
    /// one. A field that is missing counts as empty; one in two lines is refused.
    std::vector<std::string> signed_fields{};
    /// Instead of `content` and `signed_fields`: what is signed between the timestamp and the body.
    std::function<std::string(request_head const&)> preamble{};

    /// The field with the time of signing, in seconds since 1970; empty: none, or it is in the signature's own field
    /// (`signature_list::stripe`). The time is always part of what is signed. A request is refused if its time is
    /// further from the clock than `tolerance`, so that what was captured cannot be sent again later.
    std::string timestamp_header{};
    std::chrono::seconds tolerance{300};
    /// Empty: `std::chrono::system_clock::now`. Called concurrently.
    std::function<std::chrono::system_clock::time_point()> clock{};

    /// False: the request passes without a check of its signature. Empty: applies to all. Called concurrently.
    std::function<bool(request_head const&)> applies{};
    /// The value of `WWW-Authenticate`, which a 401 must have (RFC 9110, section 11.6.1).
    std::string challenge = "HMAC-SHA256";

    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};

    /// \name Ready-made schemes
    /// @{
    /// https://www.standardwebhooks.com: `Webhook-Id`, `Webhook-Timestamp`, and `Webhook-Signature: v1,… v1,…`.
    /// \param secret `whsec_` and base64, as the sender shows it, or base64 alone
    /// \throws std::invalid_argument for anything else
    static hmac_options standard_webhooks(std::string_view secret);
    /// `Stripe-Signature: t=…,v1=…,v1=…`. \param secret as Stripe shows it, `whsec_…`: the text itself is the secret
    static hmac_options stripe_webhooks(std::string secret);
    /// `X-Hub-Signature-256: sha256=…`. It has no time: a captured delivery can be sent again, for ever.
    static hmac_options github_webhooks(std::string secret);
    /// @}
};

namespace detail {

class hmac_filter {
public:
    using result_type = filter_result;
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    explicit hmac_filter(hmac_options options);

    [[nodiscard]] idempo::observer const& observer() const noexcept { return style_.observer; }

    template <class Request>
    [[nodiscard]] filter_result check(Request const& request) const {
        static_assert(in_memory_body<typename Request::body_type>,
                      "idempo: the signature needs the bytes of the request's body in memory: use string_body, "
                      "vector_body, span_body, basic_dynamic_body or empty_body");
        request_head const head(request);
        if (options_.applies && !options_.applies(head)) return {};
        auto const shown = read(head);
        if (shown.refused) return refuse(*shown.refused, answered_request(request));

        bool matches = false;
        auto const compare = [&](hmac_key const& key) {
            hmac_sha256 made(key);
            made.update(shown.preamble);
            visit_body(request, [&made](std::string_view piece) { made.update(piece); });
            auto const expected = made.finish();
            for (auto const& each : shown.signatures) matches |= are_equal(expected, each);
        };
        if (options_.find_secrets) {
            for (auto const& key : find_keys(head)) compare(key);
        } else {
            for (auto const& key : keys_) compare(key);
        }
        if (!matches) return refuse(refusal::signature_wrong, answered_request(request));
        if (shown.is_expired) return refuse(refusal::signature_expired, answered_request(request));
        return {};
    }

private:
    /// The claims of the request, true or not.
    struct shown_signature {
        std::optional<refusal> refused;
        std::vector<signature> signatures;
        std::string preamble;
        bool is_expired = false;
    };

    [[nodiscard]] shown_signature read(request_head const& head) const;
    [[nodiscard]] std::optional<refusal> count_lines(request_head const& head) const;
    [[nodiscard]] std::string signed_before_body(request_head const& head, std::string_view timestamp) const;
    [[nodiscard]] bool is_dated() const noexcept;
    [[nodiscard]] std::vector<hmac_key> find_keys(request_head const& head) const;
    [[nodiscard]] bool is_expired(std::chrono::seconds signed_at) const;
    [[nodiscard]] filter_result refuse(refusal what, answered_request const& request) const;

    /// Without the secrets; only the keys have them.
    hmac_options options_;
    std::vector<hmac_key> keys_;
    refusal_style style_;
};

}  // namespace detail

/// Refuses, with 401, requests that are not signed with HMAC-SHA-256 and a shared secret. As an outer layer it does so
/// before anything is claimed, counted or run. `docs/layers.md` has the order of layers and the key scope.
///
/// `hmac_auth({.secret = secret}) | handler`. Signatures are compared in constant time; a signature in two field lines
/// is refused. Secrets reach neither logs nor the observer.
/// \throws std::invalid_argument if there is no secret, or the options are invalid.
[[nodiscard]] inline detail::filter_layer<detail::hmac_filter> hmac_auth(hmac_options options) {
    return detail::filter_layer<detail::hmac_filter>(std::make_shared<detail::hmac_filter const>(std::move(options)));
}

}  // namespace idempo
