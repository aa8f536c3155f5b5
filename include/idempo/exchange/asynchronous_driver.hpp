#pragma once

#include <idempo/detail/call_executor.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/handler.hpp>
#include <idempo/record/captured_response.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace idempo::detail {

/// Obeys the exchange for any handler on an asynchronous store, or on one that never blocks.
///
/// Everything except renewals runs on one executor, the completion handler's own. The operations that it starts carry
/// neither cancellation slot nor allocator of the completion handler: once the claim is granted, cancelling the caller
/// does not cancel it. Pending operations hold the only reference to it.
template <class State, class Request, class CompletionHandler>
class asynchronous_driver
    : public std::enable_shared_from_this<asynchronous_driver<State, Request, CompletionHandler>> {
    using handler_type = typename State::handler_type;
    using store_type = typename State::store_type;
    using step = exchange::step;

    static constexpr bool runs_with_token = takes_completion_token<handler_type>;
    static constexpr bool runs_at_once = detail::runs_at_once<handler_type, Request>;

    static auto result_tag() {
        if constexpr (runs_at_once) {
            return std::type_identity<std::remove_cvref_t<handler_result_t<handler_type, Request>>>{};
        } else if constexpr (!runs_with_token) {
            return std::type_identity<typename awaited<handler_result_t<handler_type, Request>>::type>{};
        } else {
            return std::type_identity<http::message_generator>{};
        }
    }
    using response_type = typename decltype(result_tag())::type;

public:
    asynchronous_driver(std::shared_ptr<State> state, Request&& request, CompletionHandler&& handler,
                        call_executor where)
        : state_(std::move(state)),
          request_(std::move(request)),
          connection_(request_),
          handler_(std::move(handler)),
          where_(std::move(where)),
          work_(asio::make_work_guard(where_.executor)),
          exchange_(state_->options, runs_at_once && direct_access(state_->store) ? exchange::claim_lifetime::call
                                                                                  : exchange::claim_lifetime::leased) {}

    /// Runs what can be run at once; the rest follows.
    void start() {
        auto const self = this->shared_from_this();
        drive(admit());
        initiated_ = true;
    }

private:
    /// What a step leads to; nothing where the driver waits for it.
    using next_step = std::optional<step>;

    void drive(next_step next) {
        try {
            while (next && *next != step::respond) next = perform(*next);
        } catch (...) {  // out of memory, or one of the caller's functions: a claim without end must not stay behind
            if (exchange_.owes_lease()) renew();
            throw;
        }
        if (next) respond();
    }

    next_step admit() {
        std::optional<request_facts> facts;
        try {
            facts = look_at(state_->options, request_);
        } catch (...) {  // `options::applies` threw
            exception_ = std::current_exception();
        }
        if (facts) {
            ticket_.emplace(state_->in_flight);
            listen_for_cancellation();
            return exchange_.admit(*facts);
        }
        bypassed_.emplace();
        return exception_ ? handled() : step::run;
    }

    next_step identify() {
        try {
            return detail::identify(exchange_, state_->options, state_->rules, request_);
        } catch (...) {
            exception_ = std::current_exception();
            return exchange_.identify_threw(exception_);
        }
    }

    next_step perform(step next) {
        switch (next) {
        case step::identify: return identify();
        case step::claim: return claim();
        case step::pause: return pause();
        case step::reconcile: return reconcile();
        case step::run: return run();
        case step::capture: return exchange_.captured(response_->record(policy()));
        case step::complete: return complete();
        case step::renew: return renew();
        case step::abandon: return abandon();
        case step::respond: break;
        }
        return step::respond;
    }

    /// A callback that goes on with `report(results...)` as the next step, on the driver's executor.
    template <class Report>
    auto then(Report report) {
        return asio::bind_executor(where_.executor, [self = this->shared_from_this(), report](auto&&... results) {
            self->drive(report(*self, std::forward<decltype(results)>(results)...));
        });
    }

    next_step claim() {
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                auto result = store->claim(exchange_.claim(), error);
                return exchange_.claimed(error, std::move(result));
            }
        }
        if constexpr (async_store<store_type>) {
            state_->store.async_claim(exchange_.claim(), then([](auto& self, error_code error, claim_result result) {
                                          return self.exchange_.claimed(error, std::move(result));
                                      }));
        }
        return {};
    }

    next_step complete() {
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                auto result = store->complete(exchange_.complete(), error);
                return exchange_.completed(error, std::move(result));
            }
        }
        if constexpr (async_store<store_type>) {
            state_->store.async_complete(exchange_.complete(),
                                         then([](auto& self, error_code error, complete_result result) {
                                             return self.exchange_.completed(error, std::move(result));
                                         }));
        }
        return {};
    }

    next_step abandon() {
        auto const& claim = exchange_.claim();
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                store->abandon(claim.key, claim.token, error);
                return exchange_.abandoned(error);
            }
        }
        if constexpr (async_store<store_type>) {
            if (exchange_.abandon_is_best_effort()) {
                // Nobody waits for it, and so it must not keep the store: an operation owns what it needs.
                state_->store.async_abandon(claim.key, claim.token, [](error_code) {});
                return exchange_.abandoned({});
            }
            state_->store.async_abandon(claim.key, claim.token, then([](auto& self, error_code error) {
                                            return self.exchange_.abandoned(error);
                                        }));
        }
        return {};
    }

    /// Only a claim of the direct kind has no lease yet.
    next_step renew() {
        error_code error;
        bool held = false;
        if constexpr (may_be_direct<store_type>) {
            auto const& claim = exchange_.claim();
            auto* store = direct_access(state_->store);
            held = store->renew(claim.key, claim.token, state_->options.lease, error);
        }
        return exchange_.renewed(error, held);
    }

    next_step pause() {
        if (gives_up()) return exchange_.pause_cancelled();
        timer_.emplace(where_.executor, exchange_.pause());
        timer_->async_wait(then([](auto& self, error_code) {
            return self.gives_up() ? self.exchange_.pause_cancelled() : self.exchange_.paused();
        }));
        return {};
    }

    [[nodiscard]] bool gives_up() const noexcept { return cancelled_ && exchange_.pause_is_cancellable(); }

    /// Cancellation ends the waiting for another request, whether it comes in a pause or between two.
    void listen_for_cancellation() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (!slot.is_connected() || state_->options.wait <= std::chrono::milliseconds::zero()) return;
        slot.assign([driver = this->weak_from_this()](asio::cancellation_type) {
            auto const self = driver.lock();
            if (!self) return;
            self->cancelled_ = true;
            if (self->gives_up() && self->timer_) self->timer_->cancel();
        });
    }

    void stop_listening() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) slot.clear();
    }

    next_step reconcile() {
        try {
            return exchange_.reconciled(state_->options.reconcile(exchange_.execution()));
        } catch (...) {
            return exchange_.reconcile_threw(std::current_exception());
        }
    }

    execution& current_execution() noexcept { return bypassed_ ? *bypassed_ : exchange_.execution(); }

    next_step run() {
        start_heartbeat();
        try {
            if constexpr (runs_with_token) {
                run_with_token();
            } else if constexpr (runs_at_once) {
                answered(invoke_handler(state_->handler, std::move(request_), current_execution()));
                return handled();
            } else {
                run_coroutine();
            }
        } catch (...) {
            exception_ = std::current_exception();
            return handled();
        }
        return {};
    }

    /// What a handler with a token completes: with its answer, or with what it would have thrown.
    struct token_completion {
        std::shared_ptr<asynchronous_driver> driver;

        void operator()(http::message_generator message) {
            go_on([message = std::move(message)](auto& self) mutable { self.answered(std::move(message)); });
        }
        void operator()(std::exception_ptr exception) {
            go_on([exception](auto& self) { self.exception_ = exception; });
        }

        /// Handlers differ in where they complete; the driver goes on in one place.
        template <class Report>
        void go_on(Report report) {
            auto const executor = driver->where_.executor;
            asio::dispatch(executor, [self = std::move(driver), report = std::move(report)]() mutable {
                report(*self);
                self->drive(self->handled());
            });
        }
    };

    void run_with_token() {
        invoke_async_handler(state_->handler, std::move(request_), current_execution(),
                             asio::bind_executor(where_.executor, token_completion{this->shared_from_this()}));
    }

    void run_coroutine() {
        asio::co_spawn(where_.executor, await_handler(this->shared_from_this()),
                       then([](auto& self, std::exception_ptr exception) {
                           self.exception_ = exception;
                           return self.handled();
                       }));
    }

    static asio::awaitable<void> await_handler(std::shared_ptr<asynchronous_driver> self) {
        self->answered(
            co_await invoke_handler(self->state_->handler, std::move(self->request_), self->current_execution()));
    }

    template <class Response>
    void answered(Response&& response) {
        if (bypassed_) {
            message_.emplace(http::message_generator(std::forward<Response>(response)));
        } else {
            response_.emplace(std::forward<Response>(response), state_->options.max_response_body);
        }
    }

    /// The handler has answered or thrown.
    step handled() {
        heartbeat_.stop();
        if (bypassed_) {
            if (exception_) tell_exception();
            return step::respond;
        }
        return exception_ ? exchange_.threw(exception_) : exchange_.ran(response_->status());
    }

    void tell_exception() {
        event event;
        event.type = event_type::handler_threw;
        event.step = event_step::handler;
        event.exception = exception_;
        notify(state_->options.observer, event);
    }

    void start_heartbeat() {
        bool const leased = !bypassed_ && exchange_.execution().keyed() && exchange_.claim().lease != no_lease;
        if (!leased || !state_->options.heartbeat || !renewable(state_->store)) return;
        auto renew = [state = state_, claim = exchange_.claim()](auto renewed) {
            start_renew(state->store, claim, std::move(renewed));
        };
        heartbeat_ =
            heartbeat::start(renewal_executor(), std::move(renew), exchange_.claim(), state_->options.observer);
        exchange_.execution().watch(heartbeat_.lost());
    }

    asio::any_io_executor renewal_executor() const {
        if constexpr (async_store<store_type>) {
            return state_->store.get_executor();
        } else {
            return where_.executor;
        }
    }

    http::message_generator make_message() {
        if (bypassed_ && !exception_) return std::move(*message_);
        if (bypassed_) {
            refusal_details const details{refusal::handler_threw, {}, {}};
            auto const& options = state_->options;
            return make_refusal(options.problems, options.write_problem, details, connection_.version,
                                connection_.keep_alive);
        }
        switch (exchange_.answer()) {
        case exchange::answer_source::handler: return http::message_generator(std::move(*response_).release());
        case exchange::answer_source::stored: return replay_response(exchange_, state_->options, connection_);
        case exchange::answer_source::exception:
        case exchange::answer_source::refusal: break;
        }
        return refusal_response(exchange_, state_->options, connection_);
    }

    void respond() {
        auto message = make_message();
        stop_listening();
        auto handler = std::move(handler_);
        auto const where = where_;
        bool const initiated = initiated_;
        auto const work = std::move(work_);
        ticket_.reset();
        if (where.calling_thread_only) {
            std::move(handler)(std::move(message));
        } else if (initiated) {
            asio::dispatch(where.executor, asio::append(std::move(handler), std::move(message)));
        } else {
            asio::post(where.executor, asio::append(std::move(handler), std::move(message)));
        }
    }

    capture_policy policy() const { return {state_->options.max_response_body, state_->options.store_set_cookie}; }

    std::shared_ptr<State> state_;
    Request request_;
    connection_facts connection_;
    CompletionHandler handler_;
    call_executor where_;
    asio::executor_work_guard<asio::any_io_executor> work_;
    exchange exchange_;
    std::optional<in_flight_ticket> ticket_;
    /// The execution of a request that is none of the middleware's business.
    std::optional<execution> bypassed_;
    std::optional<http::message_generator> message_;
    std::optional<captured_response<response_type>> response_;
    std::exception_ptr exception_;
    std::optional<asio::steady_timer> timer_;
    bool cancelled_ = false;
    heartbeat heartbeat_;
    /// Set as the call returns, when the operation may have gone on elsewhere.
    std::atomic<bool> initiated_{false};
};

}  // namespace idempo::detail
