// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/awaiting_caller.hpp>
#include <idempo/detail/call_completion.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/handler_call.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/exchange/step_saving.hpp>
#include <idempo/handler.hpp>
#include <idempo/observer.hpp>
#include <idempo/record/captured_response.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/request_head.hpp>
#include <idempo/step.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace idempo::detail {

/// Obeys the exchange for any handler on an asynchronous store, or on one that never blocks.
///
/// Everything except renewals runs on one executor, the completion handler's own. The operations that it starts carry
/// neither cancellation slot nor allocator of the completion handler: once the claim is granted, cancelling the caller
/// does not cancel it. Pending operations hold the only reference to it, or a caller that runs the handler itself does.
template <class State, class Request, class CompletionHandler>
class asynchronous_driver final
    : public std::enable_shared_from_this<asynchronous_driver<State, Request, CompletionHandler>>,
      private checkpoint {
    using handler_type = typename State::handler_type;
    using store_type = typename State::store_type;
    using step = exchange::step;
    using call_type = handler_call<asynchronous_driver, handler_type, Request>;

public:
    static constexpr bool has_executor = async_store<store_type> || !is_unbound<CompletionHandler>;
    /// The caller's coroutine runs the handler.
    static constexpr bool is_awaited = is_awaiting_caller<CompletionHandler>;

    /// \param outer of the layer further out whose handler this is, or null; it outlives the call
    asynchronous_driver(std::shared_ptr<State> state, Request&& request, execution* outer, CompletionHandler&& handler,
                        call_executor where)
        : state_(std::move(state)),
          request_(std::move(request)),
          answered_(request_),
          outer_(outer),
          completion_(std::move(handler), std::move(where)),
          exchange_(state_->options, lifetime_of(*state_), &std::chrono::steady_clock::now, renewable(state_->store)),
          ticket_(state_->in_flight) {
        exchange_.provide(*this, keeps_steps(state_->store), parks(state_->store));
    }

    asynchronous_driver(asynchronous_driver const&) = delete;
    asynchronous_driver& operator=(asynchronous_driver const&) = delete;

    /// Also where nobody is left to go on, since the executor has ended: a claim without end must not stay behind.
    ~asynchronous_driver() {
        if (state_ && exchange_.owes_lease()) renew();
    }

    /// Runs what can be run at once; the rest follows.
    void start() {
        auto const self = this->shared_from_this();
        listen_for_cancellation();
        drive([this] {
            auto facts = facts_of(state_->options, request_);
            facts.draining = state_->draining;
            return next_step(exchange_.admit(facts));
        });
        completion_.initiated();
    }

    /// \name For a caller that awaits
    /// @{
    [[nodiscard]] call_completion<CompletionHandler>& completion() noexcept { return completion_; }
    /// Whether it is the caller's turn to run the handler, and then to say `handled`; else it takes its answer.
    [[nodiscard]] bool awaits_handler() const noexcept { return awaits_handler_; }
    [[nodiscard]] auto invoke_handler() {
        return invoke_inner(state_->handler, std::move(request_), &exchange_.execution());
    }
    /// @}

    /// \name For `handler_call`, and for a caller that awaits
    /// @{
    [[nodiscard]] call_type& call() noexcept { return call_; }
    void handled() {
        drive([this] { return next_step(outcome()); });
    }
    void threw_late(std::exception_ptr exception) const {
        tell_exception(exchange_.observer_with_trace(), std::move(exception), exchange_.claim().key);
    }
    /// @}

private:
    /// What a step leads to; nothing where the driver waits for it.
    using next_step = std::optional<step>;

    static exchange::claim_lifetime lifetime_of(State& state) {
        return exchange::lifetime_of(state.options, direct_access(state.store) != nullptr, call_type::runs_at_once);
    }

    template <class Begin>
    void drive(Begin begin) {
        next_step next;
        try {
            next = begin();
            while (next && !is_end(*next)) next = perform(*next);
        } catch (...) {  // out of memory, or a store that throws
            // A claim without end must not stay behind; the client must not wait for ever.
            if (exchange_.owes_lease()) renew();
            exception_ = std::current_exception();
            failed_ = true;
            next = step::respond;
        }
        // Otherwise this object may be at work elsewhere by now.
        if (next) end(*next);
    }

    /// Whether the caller goes on after this step.
    static constexpr bool is_end(step of) noexcept { return of == step::respond || (is_awaited && of == step::run); }

    void end(step of) {
        if constexpr (is_awaited) {
            awaits_handler_ = of == step::run;
            if (awaits_handler_) return completion_.give_turn(this->shared_from_this());
        }
        respond();
    }

    next_step identify() {
        try {
            return detail::identify(exchange_, state_->options, state_->rules, request_);
        } catch (...) {
            return exchange_.identify_threw(std::current_exception());
        }
    }

    next_step perform(step next) {
        switch (next) {
        case step::identify: return identify();
        case step::look: return look();
        case step::claim: return claim();
        case step::pause: return pause();
        case step::reconcile: return detail::reconcile(exchange_, state_->options);
        case step::heartbeat: return start_heartbeat();
        case step::run:
            if constexpr (!is_awaited) return run();
            break;
        case step::capture: return capture(exchange_, *response_);
        case step::complete: return complete();
        case step::renew: return exchange_.renewed(renew());
        case step::park: return park();
        case step::take_back: return take_back();
        case step::abandon: return abandon();
        case step::open:
        case step::commit:
        case step::respond: break;
        }
        return step::respond;
    }

    /// A callback that goes on with `report(results...)` as the next step, on the driver's executor.
    template <class Report>
    auto then(Report report) {
        completion_.expect();
        return asio::bind_executor(
            completion_.where().executor, [self = this->shared_from_this(), report](auto&&... results) {
                self->drive([&] { return next_step(report(*self, std::forward<decltype(results)>(results)...)); });
            });
    }

    next_step look() {
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                std::optional<record_info> found;
                if constexpr (requires { store->peek(exchange_.look(), error); }) {
                    found = store->peek(exchange_.look(), error);
                }
                return exchange_.looked(error, found);
            }
        }
        if constexpr (async_inspectable_store<store_type>) {
            state_->store.async_peek(exchange_.look(),
                                     then([](auto& self, error_code error, std::optional<record_info> const& found) {
                                         return self.exchange_.looked(error, found);
                                     }));
        }
        return {};
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
        heartbeat_.stop();
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

    next_step park() {
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                bool is_parked = false;
                if constexpr (requires { store->park(exchange_.park(), error); }) {
                    is_parked = store->park(exchange_.park(), error);
                }
                return exchange_.parked(error, is_parked);
            }
        }
        if constexpr (async_parking_store<store_type>) {
            state_->store.async_park(exchange_.park(), then([](auto& self, error_code error, bool is_parked) {
                                         return self.exchange_.parked(error, is_parked);
                                     }));
        }
        return {};
    }

    next_step take_back() {
        shared_bytes const entry(step_log::taking_back());
        auto const at = exchange_.execution().next_step();
        if (direct_access(state_->store) != nullptr) {
            error_code error;
            static_cast<void>(keep(at, entry, error));
            return exchange_.taken_back(error);
        }
        start_saving(at, entry,
                     then([](auto& self, error_code error, bool) { return self.exchange_.taken_back(error); }));
        return {};
    }

    /// \name checkpoint
    /// @{
    [[nodiscard]] bool keeps_at_once() const noexcept override { return direct_access(state_->store) != nullptr; }

    [[nodiscard]] bool keep(step_place at, shared_bytes entry, error_code& error) override {
        auto saving = exchange_.save(at, std::move(entry));
        for (auto next = step_saving::next::save; next != step_saving::next::end;) {
            if (next == step_saving::next::pause) {
                std::this_thread::sleep_for(saving.pause());
                next = saving.paused();
            } else {
                bool const is_kept = save_directly(saving.request(), error);
                next = saving.saved(error, is_kept);
            }
        }
        error = saving.error();
        return saving.is_kept();
    }

    void async_keep(step_place at, shared_bytes entry, saved_handler done) override {
        auto const where = completion_.where().executor;
        start_saving(at, std::move(entry), [where, done = std::move(done)](error_code error, bool is_kept) mutable {
            // Until this has returned: its context may end its work meanwhile, and be destroyed then.
            auto const work = boost::asio::make_work_guard(where);
            boost::asio::post(where, boost::asio::append(std::move(done), error, is_kept));
        });
    }

    [[nodiscard]] boost::asio::any_io_executor executor() const override { return completion_.where().executor; }
    /// @}

    bool save_directly(step_request const& request, error_code& error) {
        if constexpr (may_be_direct<store_type>) {
            auto* const store = direct_access(state_->store);
            if constexpr (requires { store->save_step(request, error); }) return store->save_step(request, error);
        }
        return false;
    }

    /// One step on its way to the store, within the running handler.
    template <class Done>
    struct running_saving {
        running_saving(std::shared_ptr<asynchronous_driver> driver, step_saving what, Done done)
            : self(std::move(driver)),
              saving(std::move(what)),
              timer(self->completion_.where().executor),
              tell(std::move(done)) {}

        std::shared_ptr<asynchronous_driver> self;
        step_saving saving;
        asio::steady_timer timer;
        Done tell;
    };

    template <class Done>
    void start_saving(step_place at, shared_bytes entry, Done done) {
        go_on_saving(std::make_shared<running_saving<Done>>(this->shared_from_this(),
                                                            exchange_.save(at, std::move(entry)), std::move(done)),
                     step_saving::next::save);
    }

    template <class Saving>
    static void go_on_saving(std::shared_ptr<Saving> running, step_saving::next next) {
        auto& self = *running->self;
        auto& saving = running->saving;
        if (!self.state_) return;  // the handler has answered without waiting for its step
        auto const where = self.completion_.where().executor;
        if (next == step_saving::next::end) return running->tell(saving.error(), saving.is_kept());
        if (next == step_saving::next::pause) {
            running->timer.expires_after(saving.pause());
            running->timer.async_wait([running](error_code) { go_on_saving(running, running->saving.paused()); });
            return;
        }
        auto saved = [running](error_code error, bool is_kept) {
            go_on_saving(running, running->saving.saved(error, is_kept));
        };
        if (direct_access(self.state_->store) != nullptr) {
            error_code error;
            bool const is_kept = self.save_directly(saving.request(), error);
            return saved(error, is_kept);
        }
        if constexpr (async_checkpointing_store<store_type>) {
            self.state_->store.async_save_step(saving.request(), asio::bind_executor(where, std::move(saved)));
        }
    }

    next_step abandon() {
        heartbeat_.stop();
        auto const& claim = exchange_.claim();
        if constexpr (may_be_direct<store_type>) {
            if (auto* store = direct_access(state_->store)) {
                error_code error;
                store->abandon(claim.key, claim.fencing_token, error);
                return exchange_.abandoned(error);
            }
        }
        if constexpr (async_store<store_type>) {
            if (exchange_.abandon_is_best_effort()) {
                // Nobody waits for it, and so it must not keep the store: an operation owns what it needs.
                state_->store.async_abandon(claim.key, claim.fencing_token, [](error_code) {});
                return exchange_.abandoned({});
            }
            state_->store.async_abandon(claim.key, claim.fencing_token, then([](auto& self, error_code error) {
                                            return self.exchange_.abandoned(error);
                                        }));
        }
        return {};
    }

    /// Only a claim of the direct kind has no lease yet.
    error_code renew() {
        error_code error;
        if constexpr (may_be_direct<store_type>) {
            auto const& claim = exchange_.claim();
            auto* const store = direct_access(state_->store);
            static_cast<void>(store->renew(claim.key, claim.fencing_token, state_->options.lease, error));
        }
        return error;
    }

    next_step pause() {
        if (gives_up()) return exchange_.pause_cancelled();
        timer_.emplace(completion_.where().executor, exchange_.pause());
        timer_->async_wait(then([](auto& self, error_code) {
            return self.gives_up() ? self.exchange_.pause_cancelled() : self.exchange_.paused();
        }));
        return {};
    }

    [[nodiscard]] bool gives_up() const noexcept { return cancelled_ && exchange_.pause_is_cancellable(); }

    /// Cancellation ends the waiting for another request, whether it comes in a pause or between two.
    void listen_for_cancellation() {
        auto slot = asio::get_associated_cancellation_slot(completion_.handler());
        if (!slot.is_connected() || state_->options.wait <= std::chrono::milliseconds::zero()) return;
        slot.assign([driver = this->weak_from_this()](asio::cancellation_type) {
            auto const self = driver.lock();
            if (!self) return;
            self->cancelled_ = true;
            if (self->gives_up() && self->timer_) self->timer_->cancel();
        });
    }

    /// Renewed where the store is, never where the handler runs: a handler may block its thread.
    next_step start_heartbeat() {
        if constexpr (async_store<store_type>) {
            auto renewal = renewal_by(state_, [](State& state) -> store_type& { return state.store; });
            heartbeat_ = state_->heartbeats->start(std::move(renewal), exchange_.claim(), exchange_.claimed_at(),
                                                   exchange_.observer_with_trace());
        }
        return exchange_.beating(heartbeat_.lost());
    }

    next_step run() {
        if constexpr (call_type::runs_with_token) completion_.expect();  // a coroutine has its own work
        auto const state = state_;                                       // the handler may go on after its answer
        bool const there = call_.start(this->shared_from_this(), state_->handler, request_, &exchange_.execution(),
                                       completion_.where());
        return there ? next_step(outcome()) : next_step();
    }

    /// The handler has answered or thrown.
    step outcome() {
        heartbeat_.stop();
        if (call_.exception()) return exchange_.threw(call_.exception());
        auto const& options = state_->options;
        return capture_answer(exchange_, response_, std::move(call_.response()), options.max_response_body,
                              foreign_marker(options, exchange_.execution()), exception_);
    }

    http::message_generator make_message() {
        auto const& options = state_->options;
        if (failed_) return failure();
        switch (exchange_.answer()) {
        case exchange::answer_source::handler:
            return to_generator(
                handler_response(exchange_, options, std::move(*response_).release(), state_->draining));
        case exchange::answer_source::stored:
            return replay_response<http::message_generator>(exchange_, options, answered_);
        case exchange::answer_source::exception:
        case exchange::answer_source::refusal: break;
        }
        request_head const head(request_);
        return to_generator(refusal_response(exchange_, options, answered_, exchange_.handed_over() ? nullptr : &head));
    }

    http::message_generator failure() const {
        return make_refusal(state_->options.problems, state_->options.write_problem, {refusal::handler_threw, {}, {}},
                            answered_);
    }

    /// Lets go of store, handler and options first: whoever is told may end what they need, such as the pool of
    /// `offload`, while this object still lives on another thread.
    void respond() {
        if (outer_ != nullptr && !failed_) exchange_.report_to(*outer_);
        if (failed_) tell_exception(exchange_.observer_with_trace(), exception_);
        if (state_->draining) answered_.keep_alive = false;
        auto message = message_or([this] { return make_message(); }, [this] { return failure(); });
        auto slot = asio::get_associated_cancellation_slot(completion_.handler());
        if (slot.is_connected()) slot.clear();
        ticket_.reset();
        heartbeat_.stop();
        state_.reset();
        if constexpr (is_awaited) {
            completion_.complete(std::move(message), this->shared_from_this());
        } else {
            completion_.complete(std::move(message));
        }
    }

    std::shared_ptr<State> state_;
    Request request_;
    answered_request answered_;
    execution* outer_;
    call_completion<CompletionHandler> completion_;
    exchange exchange_;
    std::optional<in_flight_ticket> ticket_;
    call_type call_;
    std::optional<captured_response<typename call_type::response_type>> response_;
    std::exception_ptr exception_;
    /// Something threw that is none of the steps.
    bool failed_ = false;
    std::optional<asio::steady_timer> timer_;
    bool cancelled_ = false;
    bool awaits_handler_ = false;
    heartbeat heartbeat_;
};

}  // namespace idempo::detail
