#pragma once

#include <idempo/execution.hpp>
#include <idempo/key.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>
#include <idempo/scope.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <variant>

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
/// nobody knows how far it came.
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
    /// @}

    /// \name How long
    /// @{
    /// Lease of a claim. Without a heartbeat, make it much longer than your slowest handler.
    std::chrono::milliseconds lease{std::chrono::seconds{30}};
    /// Renew at a third of the lease while the handler runs, where the store can.
    bool heartbeat = true;
    /// How long the record lives after completion.
    std::chrono::milliseconds retention{std::chrono::hours{24}};
    /// How long to wait for the first request, instead of 409 at once.
    std::chrono::milliseconds wait{0};
    /// The most that `Retry-After` says; never more than the remaining lease.
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
    /// Finds out, with `derived_key` say, what became of the earlier attempt: run again, hold, or the response to store
    /// and answer. Called on the deciding thread; may throw, which holds the claim.
    std::function<reconciliation(execution const&)> reconcile{};
    /// Which statuses are stored; for others the claim is released. Empty: `stored_by_default`. If it throws, the
    /// response is stored.
    std::function<bool(unsigned status)> store_if{};
    /// @}

    /// \name What is stored and what is said
    /// @{
    std::size_t max_response_body = std::size_t{1} << 20;
    bool store_set_cookie = false;
    std::string replayed_header = "Idempotency-Replayed";
    /// Added to a replay with the stored value of `Request-Id`, where the handler set one. Empty: not added.
    std::string original_request_header{};
    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};
    /// @}

    /// POST only, every status stored, mismatch 400, Stripe's error bodies and fields.
    /// https://docs.stripe.com/api/idempotent_requests
    static options stripe();
};

/// Everything except 401, 403, 408, 425, 429 and 5xx: those say that the effect did not happen, or may be tried again.
[[nodiscard]] bool stored_by_default(unsigned status) noexcept;

/// \throws std::invalid_argument naming the first option that makes no sense.
void validate(options const& options);

}  // namespace idempo
