#pragma once

#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/handler.hpp>
#include <idempo/record/captured_response.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace idempo::detail {

/// Obeys the exchange for a synchronous handler on a synchronous store, on the calling thread.
template <class State, class Request>
class synchronous_driver {
    using handler_type = typename State::handler_type;
    using store_type = typename State::store_type;
    using result_type = handler_result_t<handler_type, Request>;
    using step = exchange::step;

public:
    using reply_type = reply_for<result_type>;

    synchronous_driver(State& state, Request&& request)
        : state_(state),
          request_(std::forward<Request>(request)),
          connection_(request_),
          exchange_(state.options,
                    direct_access(state.store) ? exchange::claim_lifetime::call : exchange::claim_lifetime::leased),
          ticket_(state.in_flight) {}

    reply_type run(request_facts const& facts) {
        try {
            auto next = exchange_.admit(facts);
            while (next != step::respond) next = perform(next);
        } catch (...) {  // out of memory, or one of the caller's functions: a claim without end must not stay behind
            if (exchange_.owes_lease()) renew();
            throw;
        }
        return respond();
    }

private:
    step perform(step next) {
        error_code error;
        auto& store = state_.store;
        auto const& claim = exchange_.claim();
        switch (next) {
        case step::identify: return identify();
        case step::claim: {
            auto result = store.claim(claim, error);
            return exchange_.claimed(error, std::move(result));
        }
        case step::pause: std::this_thread::sleep_for(exchange_.pause()); return exchange_.paused();
        case step::reconcile: return reconcile();
        case step::run: return run_handler();
        case step::capture: return exchange_.captured(captured_->record(policy()));
        case step::complete: {
            auto result = store.complete(exchange_.complete(), error);
            return exchange_.completed(error, std::move(result));
        }
        case step::renew: return renew();
        case step::abandon: store.abandon(claim.key, claim.token, error); return exchange_.abandoned(error);
        case step::respond: break;
        }
        return step::respond;
    }

    step identify() {
        try {
            return detail::identify(exchange_, state_.options, state_.rules, request_);
        } catch (...) {
            exception_ = std::current_exception();
            return exchange_.identify_threw(exception_);
        }
    }

    step run_handler() {
        auto beat = start_heartbeat();
        try {
            captured_.emplace(invoke_handler(state_.handler, std::forward<Request>(request_), exchange_.execution()),
                              state_.options.max_response_body);
        } catch (...) {
            exception_ = std::current_exception();
        }
        beat.stop();
        return exception_ ? exchange_.threw(exception_) : exchange_.ran(captured_->status());
    }

    /// A synchronous store has no thread for renewals; `blocking` has one, and shows it by `keep_alive`.
    heartbeat start_heartbeat() {
        if constexpr (requires { state_.store.keep_alive(exchange_.claim(), state_.options.observer); }) {
            if (state_.options.heartbeat && exchange_.execution().keyed() && exchange_.claim().lease != no_lease) {
                auto beat = state_.store.keep_alive(exchange_.claim(), state_.options.observer);
                exchange_.execution().watch(beat.lost());
                return beat;
            }
        }
        return {};
    }

    step reconcile() {
        try {
            return exchange_.reconciled(state_.options.reconcile(exchange_.execution()));
        } catch (...) {
            return exchange_.reconcile_threw(std::current_exception());
        }
    }

    step renew() {
        error_code error;
        bool held = false;
        if constexpr (renewable_store<store_type>) {
            held = state_.store.renew(exchange_.claim().key, exchange_.claim().token, state_.options.lease, error);
        }
        return exchange_.renewed(error, held);
    }

    reply_type respond() {
        switch (exchange_.answer()) {
        case exchange::answer_source::handler: return reply_type(std::move(*captured_).release());
        case exchange::answer_source::exception: std::rethrow_exception(exception_);
        case exchange::answer_source::stored:
            return reply_type(replay_response(exchange_, state_.options, connection_));
        case exchange::answer_source::refusal: break;
        }
        return reply_type(refusal_response(exchange_, state_.options, connection_));
    }

    capture_policy policy() const { return {state_.options.max_response_body, state_.options.store_set_cookie}; }

    State& state_;
    Request&& request_;
    connection_facts connection_;
    exchange exchange_;
    in_flight_ticket ticket_;
    std::optional<captured_response<std::remove_cvref_t<result_type>>> captured_;
    std::exception_ptr exception_;
};

}  // namespace idempo::detail
