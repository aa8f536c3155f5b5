// SPDX-License-Identifier: MIT
#include "payments/payments.hpp"

#include <idempo/step.hpp>

#include <optional>
#include <utility>

namespace asio = boost::asio;

asio::awaitable<http_response> payments::operator()(http_request request, idempo::execution& execution) const {
    unsigned const version = request.version();
    bool const keep_alive = request.keep_alive();
    try {
        auto const receipt = co_await pay(std::move(request.body()), execution);
        co_return json_response(201, "{\"receipt\":\"" + receipt + "\"}", version, keep_alive);
    } catch (provider_refused const&) {
        // Nothing has happened in this step. The steps before it are kept, and a retry goes on behind them.
        co_return problem_response(503, "The provider is busy", version, keep_alive);
    } catch (provider_unsure const& unsure) {
        // A provider that knows keys may be asked again with the same one: the status releases the claim for a retry.
        // Of any other, nobody may be asked again before it is known what has happened.
        if (!provider_knows_keys_) execution.unknown(unsure.what());
        co_return problem_response(504, "The provider does not answer", version, keep_alive);
    }
}

/// Each step has its own key, which is the same in every attempt, and its result is the next one's.
asio::awaitable<std::string> payments::pay(std::string order, idempo::execution& execution) const {
    bool const is_repeated = execution.attempt() > 1;
    auto const authorise = [&](std::string key) { return once("authorise", order, key, is_repeated); };
    auto const authorisation = co_await execution.step("authorise", authorise);

    auto const capture = [&](std::string key) { return once("capture", order, key, is_repeated); };
    auto const receipt = co_await execution.step("capture", capture);

    auto const notify = [&](std::string key) { return once("notify", order, key, is_repeated); };
    co_await execution.step("notify", notify);
    co_return authorisation + ", " + receipt;
}

/// An effect that an earlier attempt may have had: with a key the provider recognises it, without one it is looked up.
asio::awaitable<std::string> payments::once(std::string operation, std::string order, std::string key,
                                            bool may_have_happened) const {
    if (may_have_happened && !provider_knows_keys_) {
        auto found = co_await provider_.find(operation, order);
        if (found) co_return std::move(*found);
    }
    co_return co_await provider_.call(std::move(operation), std::move(order), std::move(key));
}
