// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/layers/client.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/filtered.hpp>
#include <idempo/layers/memory_rate_limiter.hpp>
#include <idempo/layers/rate.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/problem.hpp>
#include <idempo/request_head.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace idempo {

/// What to do with a request if the limiter does not answer.
enum class on_limiter_error {
    /// 503 with `Retry-After`. The limit always holds.
    refuse,
    /// It passes uncounted and without fields. The observer gets `store_error`.
    pass,
};

/// Which fields tell a client its remaining requests. The `RateLimit-*` of an outer layer replace those of an inner
/// one.
struct rate_limit_fields {
    /// `RateLimit-Policy` and `RateLimit`: draft-ietf-httpapi-ratelimit-headers-11, and since 08. The default: clients
    /// that know no draft obey `Retry-After`.
    bool structured = true;
    /// `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`: the same draft until its version 07.
    bool separate = false;
    /// `X-RateLimit-Limit` and `X-RateLimit-Remaining`.
    bool legacy = false;
};

/// Whose requests are counted, and which fields the responses get.
struct rate_limit_options {
    /// A request without a client is refused with 403; otherwise all of them would share one limit.
    client_function client = client::peer();
    /// False: the request passes uncounted. Empty: applies to all. Called concurrently.
    std::function<bool(request_head const&)> applies{};
    /// The name of the policy, in `RateLimit-Policy`; 1 to 64 visible ASCII characters without `"` and `\`. Limits with
    /// different names count separately, also on one limiter.
    std::string name = "default";
    on_limiter_error on_error = on_limiter_error::refuse;
    rate_limit_fields fields{};

    problem_table problems{};
    problem_writer write_problem = write_problem_json;
    idempo::observer observer{};
};

namespace detail {

/// The part that does not depend on the limiter.
class rate_limit_policy {
public:
    rate_limit_policy(rate_limit_options options, rate rate);

    [[nodiscard]] idempo::observer const& observer() const noexcept { return style_.observer; }

    /// Whether it applies to the request.
    [[nodiscard]] bool counts(request_head const& head) const { return !options_.applies || options_.applies(head); }

    /// The digest of name and client; empty if the client is unknown.
    [[nodiscard]] std::optional<store_key> client_of(request_head const& head) const;

    [[nodiscard]] filter_result refuse_unknown(answered_request const& request) const;

    [[nodiscard]] filter_result judge(error_code error, rate_decision const& decision,
                                      answered_request const& request) const;

private:
    [[nodiscard]] filter_result without_limiter(error_code error, answered_request const& request) const;
    [[nodiscard]] response_fields fields_of(rate_decision const& decision) const;

    rate_limit_options options_;
    rate rate_;
    refusal_style style_;
};

template <class Limiter>
class rate_limit_filter {
public:
    using result_type = filter_result;
    static constexpr bool is_synchronous = rate_limiter<Limiter>;
    static constexpr bool is_asynchronous = async_rate_limiter<Limiter>;

    rate_limit_filter(Limiter limiter, rate_limit_options options)
        : policy_(std::move(options), limiter.get_rate()),
          limiter_(std::move(limiter)) {}

    [[nodiscard]] idempo::observer const& observer() const noexcept { return policy_.observer(); }

    [[nodiscard]] auto get_executor() const
        requires async_rate_limiter<Limiter>
    {
        return limiter_.get_executor();
    }

    template <class Request>
    [[nodiscard]] filter_result check(Request const& request) const {
        request_head const head(request);
        if (!policy_.counts(head)) return {};
        auto const client = policy_.client_of(head);
        if (!client) return policy_.refuse_unknown(answered_request(request));
        error_code error;
        auto const decision = limiter_.take(*client, error);
        return policy_.judge(error, decision, answered_request(request));
    }

    /// \pre the filter outlives the operation
    template <class Request, class Done>
    void async_check(Request const& request, Done done) const {
        request_head const head(request);
        if (!policy_.counts(head)) return done(filter_result());
        auto const client = policy_.client_of(head);
        answered_request const line(request);
        if (!client) return done(policy_.refuse_unknown(line));
        auto const executor = asio::get_associated_executor(done);
        limiter_.async_take(*client,
                            asio::bind_executor(executor, [this, line, done = std::move(done)](
                                                              error_code error, rate_decision decision) mutable {
                                std::move(done)(policy_.judge(error, decision, line));
                            }));
    }

private:
    rate_limit_policy policy_;
    /// A handle.
    mutable Limiter limiter_;
};

}  // namespace detail

/// Refuses, with 429 and `Retry-After`, a client's requests beyond the limiter's rate. Refused requests reach no inner
/// layer: they are neither claimed nor stored. Responses to the others get fields with the remaining requests.
///
/// `rate_limit(memory_rate_limiter({.limit = 10}), {.client = client::field("X-User")}) | handler`, or with a
/// `redis_rate_limiter`, which processes share. The limiter knows clients by SHA-256 over name and client.
/// \throws std::invalid_argument if the options are invalid
template <class Limiter>
    requires(rate_limiter<Limiter> || async_rate_limiter<Limiter>)
[[nodiscard]] detail::filter_layer<detail::rate_limit_filter<Limiter>> rate_limit(Limiter limiter,
                                                                                  rate_limit_options options = {}) {
    using filter = detail::rate_limit_filter<Limiter>;
    return detail::filter_layer<filter>(std::make_shared<filter const>(std::move(limiter), std::move(options)));
}

}  // namespace idempo
