#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/hmac_sha256.hpp>
#include <idempo/layers/gate.hpp>
#include <idempo/layers/gated.hpp>
#include <idempo/layers/signature.hpp>
#include <idempo/observer.hpp>
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

/// The signed content.
enum class signed_content {
    /// The body's bytes. A captured request can be sent to another target with the same signature.
    body,
    /// The method, a line feed, the target (path and query) as sent, a line feed, the body.
    method_target_and_body,
};

/// Which requests must be signed, and how.
struct hmac_options {
    /// Shared with the client. Must not be empty, unless `find_secrets` is set. Use 32 random bytes.
    std::string secret{};
    /// Also accepted, while clients change from one secret to the other; empty: none.
    std::string previous_secret{};
    /// Instead of the two: returns the secrets of the client that the request names, for example in a field with a key
    /// id; none for an unknown client. Called for each request, concurrently. If it throws, the response is the same as
    /// if the handler had thrown.
    std::function<std::vector<std::string>(request_head const&)> find_secrets{};

    /// The field with the signature, its prefix (`sha256=`), and its encoding.
    std::string header = "X-Signature";
    std::string prefix{};
    signature_encoding encoding = signature_encoding::hex;

    signed_content content = signed_content::body;
    /// Instead of `content`: returns what is signed before the body.
    std::function<std::string(request_head const&)> preamble{};

    /// The field with the time of signing, in seconds since 1970; empty: none. The time and a dot are signed before the
    /// content, except with `preamble`, which must then contain the time. A request is refused if its time is further
    /// from the clock than `tolerance`, so that a captured request cannot be sent again later.
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
};

namespace detail {

class hmac_gate {
public:
    static constexpr bool is_synchronous = true;
    static constexpr bool is_asynchronous = false;

    explicit hmac_gate(hmac_options options);

    [[nodiscard]] idempo::observer const& observer() const noexcept { return style_.observer; }

    template <class Request>
    [[nodiscard]] verdict check(Request const& request) const {
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
            matches |= are_equal(made.finish(), shown.signature);
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
        detail::signature signature{};
        std::string preamble;
        bool is_expired = false;
    };

    [[nodiscard]] shown_signature read(request_head const& head) const;
    [[nodiscard]] std::vector<hmac_key> find_keys(request_head const& head) const;
    [[nodiscard]] bool is_expired(std::chrono::seconds signed_at) const;
    [[nodiscard]] verdict refuse(refusal what, answered_request const& request) const;

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
[[nodiscard]] inline detail::gate_layer<detail::hmac_gate> hmac_auth(hmac_options options) {
    return detail::gate_layer<detail::hmac_gate>(std::make_shared<detail::hmac_gate const>(std::move(options)));
}

}  // namespace idempo
