// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/digest_key.hpp>
#include <idempo/execution.hpp>
#include <idempo/key.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>
#include <idempo/same_request.hpp>
#include <idempo/scope.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace idempo {

/// A set of HTTP methods.
class method_set {
public:
    constexpr method_set(std::initializer_list<http::verb> methods) {
        for (auto method : methods) bits_ |= bit(method);
    }
    constexpr void insert(http::verb method) noexcept { bits_ |= bit(method); }
    [[nodiscard]] constexpr bool contains(http::verb method) const noexcept { return (bits_ & bit(method)) != 0; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }

private:
    static constexpr std::uint64_t bit(http::verb method) noexcept {
        return std::uint64_t{1} << static_cast<unsigned>(method);
    }
    std::uint64_t bits_ = 0;
};

/// What to do when the key already has a completed response.
enum class on_duplicate {
    replay,  ///< the stored response
    reject,  ///< guard mode: 409 whatever the body; only a 2xx keeps the key, and no response is stored
};

/// What becomes of the claim when the handler throws and `execution` has no verdict.
enum class on_throw {
    release,    ///< a retry runs the handler again
    hold,       ///< a retry meets 409 to the end of the lease
    store_500,  ///< a retry gets a 500
};

/// What happens when a claim meets one whose lease has ended, with the same request: the earlier attempt is gone, and
/// nobody knows how far it came. Parked records (`execution::unknown`) are not taken over, whatever is chosen.
enum class on_takeover {
    run,        ///< the handler runs, with `attempt` one higher
    hold,       ///< 409 until the record expires
    reconcile,  ///< `options::reconcile` decides
};

/// What becomes of the claim when the response cannot be stored: too large, a 101, fields that are not valid.
enum class unstorable {
    tombstone,  ///< the response is sent whole, and a retry gets 409 with the original status
    release,    ///< a retry runs the handler again
};

/// What a request meets when its claim fails.
enum class on_store_error {
    refuse,           ///< 503, the handler does not run
    run_unprotected,  ///< the handler runs without a claim: a retry runs it again
};

/// How a service told keys and requests apart before a change of its `options`, or will after the next one. What is
/// empty is as in the options.
struct previous_identity {
    std::optional<idempo::scope> scope{};
    std::optional<std::string> key_namespace{};
    std::optional<bool> per_endpoint{};
    /// `digest_keys::none()` for records from before the first secret.
    std::optional<idempo::digest_keys> digest_keys{};
};

/// The most identities beside the current one: each secret but the first, and each of `options::previous` once for each
/// of its secrets.
inline constexpr std::size_t max_previous_identities = 8;

/// Answers of `options::reconcile`.
struct run_again {};
struct hold_claim {};
using reconciliation = std::variant<run_again, hold_claim, http::response<http::string_body>>;

/// What the middleware does. The defaults follow draft-ietf-httpapi-idempotency-key-header-07; `stripe()` follows
/// Stripe's API. Checked where a middleware is made: `validate` throws `std::invalid_argument` with a sentence.
struct options {
    /// \name Which requests
    /// @{
    std::string header = "Idempotency-Key";
    key_syntax syntax = key_syntax::lenient;
    /// A rule for keys beside the syntax (draft section 5), asked with the key as it was sent, without quotes. False:
    /// 400. Empty: every key is accepted. Called concurrently. What it throws is answered as if the handler had thrown.
    std::function<bool(std::string_view key)> accept_key{};
    method_set methods{http::verb::post, http::verb::put, http::verb::patch};
    /// False: the handler runs, and nothing else happens. Empty: applies to all. Called concurrently. What it throws is
    /// answered as if the handler had thrown it.
    std::function<bool(request_head const&)> applies{};
    /// Without a key: 400 (draft section 2.1) instead of an unprotected run.
    bool require_key = false;
    std::size_t max_request_body = std::size_t{1} << 20;
    /// @}

    /// \name Whose key
    /// @{
    idempo::scope scope = scope::credential_bound();
    /// Keeps services, or stacked layers, that share a store apart.
    std::string key_namespace{};
    /// Each method and path (without its query) has keys of its own: the same key on another endpoint is another
    /// request. Otherwise it gets 422.
    bool per_endpoint = false;
    /// Secrets under which store keys and fingerprints are made, so that who reads the store can neither guess a body
    /// from its fingerprint nor recognise a client's key. The first one makes new records, and records under the others
    /// are found as with `previous`: to rotate, put a new secret behind the old one on all servers, then before it,
    /// then drop the old one after the retention and `remember_expired`. By default there is none, and digests are
    /// SHA-256: do not take card numbers like that.
    idempo::digest_keys digest_keys{};
    /// Under which other identities a record of the same key may be: those of the release before a change of `scope`,
    /// `key_namespace`, `per_endpoint` or `digest_keys`, and of the one after it. A record that is found there is
    /// answered, waited for, taken over or settled there, and a request runs under the new identity only where there is
    /// none. Needs a store with `peek` (`inspectable_store`). docs/digests.md says how to deploy a change.
    std::vector<previous_identity> previous{};
    /// @}

    /// \name What is the same request
    /// @{
    idempo::same_request same_request{};
    /// Rules that records in the store may have been made by, beside `same_request`: those of the releases that still
    /// run or ran within the retention, and of the next one. A record is compared by the rule that made it. Where that
    /// is none of these, the answer is 409 (`refusal::not_retained`) and the handler does not run.
    std::vector<idempo::same_request> previous_rules{};
    /// @}

    /// \name How long
    /// @{
    /// Lease of a claim, at least 10 ms. Without a heartbeat, make it much longer than your slowest handler.
    std::chrono::milliseconds lease{std::chrono::seconds{30}};
    /// Renew at a third of the lease while the handler runs, where the store can.
    bool heartbeat = true;
    /// How long the record lives after completion.
    std::chrono::milliseconds retention{std::chrono::hours{24}};
    /// How long a mark of a used key outlives its record, `30 * retention` say. Meanwhile a request with that key gets
    /// 410
    /// (`refusal::key_expired`), and does not run. Released keys leave no mark. Zero: a key whose record has expired is
    /// new. At most ten years. Needs a `remembering_store`, else making the middleware throws `std::invalid_argument`.
    std::chrono::milliseconds remember_expired{0};
    /// How long to wait for the first request, instead of 409 at once.
    std::chrono::milliseconds wait{0};
    /// The most that `Retry-After` says, at least a second. Where less of the lease remains, that is said, rounded up
    /// to whole seconds: a client that obeys never comes back before the lease can have ended.
    std::chrono::seconds retry_after{1};
    /// How long Complete is retried after the handler ran. The client waits for it.
    std::chrono::milliseconds persist_timeout{std::chrono::seconds{10}};
    /// @}

    /// \name What happens
    /// @{
    idempo::on_duplicate on_duplicate = on_duplicate::replay;
    idempo::on_throw on_throw = on_throw::release;
    idempo::on_takeover on_takeover = on_takeover::run;
    idempo::unstorable unstorable = unstorable::tombstone;
    idempo::on_store_error on_store_error = on_store_error::refuse;
    /// Finds out, with `derived_key` and `kept_step` say, what became of the earlier attempt: run again, hold, or the
    /// response to store and answer. Asked for parked records, and with `on_takeover::reconcile` for those whose lease
    /// has ended: under a claim of its own, so at most once at a time for a key, and at most once for a request.
    /// `attempt` is the earlier one's. Called on the deciding thread; may throw, which holds the claim.
    std::function<reconciliation(execution const&)> reconcile{};
    /// The most that one `execution::step` may keep, in bytes; and all of one request, with their labels.
    std::size_t max_step_result = std::size_t{64} << 10;
    std::size_t max_steps = std::size_t{256} << 10;
    /// Which statuses are stored; for others the claim is released. Empty: `stored_by_default`. If it throws, the
    /// response is stored.
    std::function<bool(unsigned status)> store_if{};
    /// Statuses which say nothing of the effect: the client gets the answer, and a retry meets 409 to the end of the
    /// lease, and then what `on_takeover` says. Asked before `store_if`, of handlers that gave no verdict. Empty: none.
    /// If it throws, the claim is held.
    std::function<bool(unsigned status)> hold_if{};
    /// @}

    /// \name What is stored and what is said
    /// @{
    std::size_t max_response_body = std::size_t{1} << 20;
    bool store_set_cookie = false;
    /// Changes a copy of the response before it is stored: what it removes, no replay has. The first client gets the
    /// response as the handler made it. Called on the deciding thread, concurrently. What it throws leaves a tombstone,
    /// and the observer gets it.
    std::function<void(http::response<http::string_body>&)> sanitize{};
    std::string replayed_header = "Idempotency-Replayed";
    /// Added to a replay with the stored value of `Request-Id`, where the handler set one. Empty: not added.
    std::string original_request_header{};
    /// Keeps the W3C `traceparent` of the request that made a record with it, and tells the observer of both: of each
    /// request's own, and on a replay of the first one's (`event::first_traceparent`). No client gets it. What is not
    /// valid counts as absent. Put this version on all servers before you turn it on: docs/monitoring.md says why.
    bool keep_traceparent = false;
    /// Sends the client's key back, as it was sent, in each answer to a request with a valid key.
    bool echo_key = false;
    /// Sent as `false` with refusals that a retry cannot change (`is_final`), since SDKs retry a 409 otherwise:
    /// `x-should-retry` is obeyed by those that Stainless generates, `Stripe-Should-Retry` by Stripe's. Empty: not
    /// sent.
    std::string should_retry_header = "x-should-retry";
    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};
    /// @}

    /// POST only, any key up to 255 characters, every status stored, mismatch 400, Stripe's error bodies and fields.
    /// https://docs.stripe.com/api/idempotent_requests
    static options stripe();

    /// For an endpoint that moves money: a key is required, each caller has keys of its own, and where nobody can tell
    /// whether the effect happened, no retry runs the handler: after an exception, a 500, 502 or 504 the claim is held,
    /// and when its lease has ended, a retry gets 409 (`refusal::outcome_unknown`) until the record expires. Set
    /// `reconcile` and `on_takeover::reconcile` where somebody can be asked.
    /// \param authenticated see `scope::principal`
    /// \param told somebody must learn of claims that are held
    /// \throws std::invalid_argument for an empty function
    static options payments(scope::principal_function authenticated, idempo::observer told);

    /// The Agentic Commerce Protocol, version 2026-04-17, section 6 of rfc.agentic_checkout.md: a key is required for
    /// each POST, each caller and endpoint has keys of its own, JSON bodies are compared by what they mean, all below
    /// 500 is stored, and refusals have its errors. Defined in `idempo::json`: link it.
    /// \param authenticated see `scope::principal`; the protocol binds keys to the authenticated identity.
    static options acp(scope::principal_function authenticated);
};

/// Everything except 401, 403, 408, 425, 429 and 5xx: those say that the effect did not happen, or may be tried again.
[[nodiscard]] bool stored_by_default(unsigned status) noexcept;

/// Whether records may be under other identities, so that the store needs `peek`.
[[nodiscard]] bool has_other_identities(options const& options) noexcept;

/// \throws std::invalid_argument naming the first option that makes no sense.
void validate(options const& options);

}  // namespace idempo
