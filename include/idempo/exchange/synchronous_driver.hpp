// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/exchange/step_saving.hpp>
#include <idempo/handler.hpp>
#include <idempo/record/captured_response.hpp>
#include <idempo/request_head.hpp>
#include <idempo/step.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

namespace idempo::detail {

/// Obeys the exchange for a synchronous handler on a synchronous store, on the calling thread.
template <class State, class Request>
class synchronous_driver final : private checkpoint {
    using handler_type = typename State::handler_type;
    using store_type = typename State::store_type;
    using result_type = handler_result_t<handler_type, Request>;
    using step = exchange::step;

    static constexpr bool keeps_alive = self_renewing_store<store_type>;

public:
    using reply_type = reply_for<result_type>;

    /// \param outer of the layer further out whose handler this is, or null
    synchronous_driver(State& state, Request&& request, execution* outer)
        : state_(state),
          request_(std::forward<Request>(request)),
          answered_(request_),
          outer_(outer),
          exchange_(state.options, exchange::lifetime_of(state.options, direct_access(state.store) != nullptr, true),
                    &std::chrono::steady_clock::now, keeps_alive),
          ticket_(state.in_flight) {
        exchange_.provide(*this, keeps_steps(state.store), parks(state.store));
    }

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
        case step::look: return look();
        case step::claim: {
            auto result = store.claim(claim, error);
            return exchange_.claimed(error, std::move(result));
        }
        case step::pause: std::this_thread::sleep_for(exchange_.pause()); return exchange_.paused();
        case step::reconcile: return detail::reconcile(exchange_, state_.options);
        case step::heartbeat: return start_heartbeat();
        case step::run: return run_handler();
        case step::capture: return capture(exchange_, *captured_);
        case step::complete: {
            beat_.stop();
            auto result = store.complete(exchange_.complete(), error);
            return exchange_.completed(error, std::move(result));
        }
        case step::renew: return exchange_.renewed(renew());
        case step::park: return park();
        case step::take_back: return exchange_.taken_back(take_back());
        case step::abandon: return abandon();
        case step::open:
        case step::commit:
        case step::respond: break;
        }
        return step::respond;
    }

    step abandon() {
        beat_.stop();
        auto const& claim = exchange_.claim();
        error_code error;
        if constexpr (requires { state_.store.start_abandon(claim.key, claim.fencing_token); }) {
            if (exchange_.abandon_is_best_effort()) {
                state_.store.start_abandon(claim.key, claim.fencing_token);
                return exchange_.abandoned({});
            }
        }
        state_.store.abandon(claim.key, claim.fencing_token, error);
        return exchange_.abandoned(error);
    }

    step identify() {
        try {
            return detail::identify(exchange_, state_.options, state_.rules, request_);
        } catch (...) {
            exception_ = std::current_exception();
            return exchange_.identify_threw(exception_);
        }
    }

    step look() {
        error_code error;
        std::optional<record_info> found;
        if constexpr (inspectable_store<store_type>) found = state_.store.peek(exchange_.look(), error);
        return exchange_.looked(error, found);
    }

    step start_heartbeat() {
        if constexpr (keeps_alive) {
            beat_ = state_.store.keep_alive(exchange_.claim(), exchange_.claimed_at(), exchange_.observer_with_trace());
        }
        return exchange_.beating(beat_.lost());
    }

    step run_handler() {
        std::optional<std::remove_cvref_t<result_type>> answer;
        try {
            answer.emplace(invoke_handler(state_.handler, std::forward<Request>(request_), exchange_.execution()));
        } catch (...) {
            exception_ = std::current_exception();
        }
        beat_.stop();
        if (exception_) return exchange_.threw(exception_);
        return capture_answer(exchange_, captured_, std::move(*answer), state_.options.max_response_body,
                              foreign_marker(state_.options, exchange_.execution()), exception_);
    }

    step park() {
        error_code error;
        bool is_parked = false;
        if constexpr (parking_store<store_type>) is_parked = state_.store.park(exchange_.park(), error);
        return exchange_.parked(error, is_parked);
    }

    error_code take_back() {
        error_code error;
        static_cast<void>(keep(exchange_.execution().next_step(), shared_bytes(step_log::taking_back()), error));
        return error;
    }

    /// \name checkpoint
    /// @{
    [[nodiscard]] bool keeps_at_once() const noexcept override { return true; }

    [[nodiscard]] bool keep(step_place at, shared_bytes entry, error_code& error) override {
        auto saving = exchange_.save(at, std::move(entry));
        auto next = step_saving::next::save;
        while (next != step_saving::next::end) {
            if (next == step_saving::next::pause) {
                std::this_thread::sleep_for(saving.pause());
                next = saving.paused();
                continue;
            }
            bool is_kept = false;
            if constexpr (checkpointing_store<store_type>) is_kept = state_.store.save_step(saving.request(), error);
            next = saving.saved(error, is_kept);
        }
        error = saving.error();
        return saving.is_kept();
    }

    /// Only a call with a completion token has an executor.
    void async_keep(step_place, shared_bytes, saved_handler) override {
        throw std::logic_error("execution::async_step: this handler is called without a completion token");
    }
    [[nodiscard]] boost::asio::any_io_executor executor() const override {
        throw std::logic_error("execution::async_step: this handler is called without a completion token");
    }
    /// @}

    error_code renew() {
        error_code error;
        if constexpr (renewable_store<store_type>) {
            auto const& claim = exchange_.claim();
            static_cast<void>(state_.store.renew(claim.key, claim.fencing_token, state_.options.lease, error));
        }
        return error;
    }

    reply_type respond() {
        auto const& options = state_.options;
        if (outer_ != nullptr) exchange_.report_to(*outer_);
        bool const closes = state_.draining;
        if (closes) answered_.keep_alive = false;
        switch (exchange_.answer()) {
        case exchange::answer_source::handler:
            return reply_type(handler_response(exchange_, options, std::move(*captured_).release(), closes));
        case exchange::answer_source::exception: std::rethrow_exception(exception_);
        case exchange::answer_source::stored: return replay_response<reply_type>(exchange_, options, answered_);
        case exchange::answer_source::refusal: break;
        }
        request_head const head(request_);
        return reply_type(refusal_response(exchange_, options, answered_, exchange_.handed_over() ? nullptr : &head));
    }

    State& state_;
    Request&& request_;
    answered_request answered_;
    execution* outer_;
    exchange exchange_;
    in_flight_ticket ticket_;
    heartbeat beat_;
    std::optional<captured_response<std::remove_cvref_t<result_type>>> captured_;
    std::exception_ptr exception_;
};

}  // namespace idempo::detail
