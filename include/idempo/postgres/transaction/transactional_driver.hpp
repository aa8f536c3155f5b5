// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/answered_request.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/exchange/request_rules.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/keyed_transaction.hpp>
#include <idempo/postgres/transaction/transactional_options.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/captured_response.hpp>

#include <pqxx/except>
#include <pqxx/subtransaction>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace idempo::detail {

template <class Handler, class Request>
struct transactional_result {};
template <class Handler, class Request>
    requires std::invocable<Handler&, Request, pqxx::subtransaction&, execution&>
struct transactional_result<Handler, Request>
    : std::invoke_result<Handler&, Request, pqxx::subtransaction&, execution&> {};
template <class Handler, class Request>
    requires(!std::invocable<Handler&, Request, pqxx::subtransaction&, execution&> &&
             std::invocable<Handler&, Request, pqxx::subtransaction&>)
struct transactional_result<Handler, Request> : std::invoke_result<Handler&, Request, pqxx::subtransaction&> {};

template <class Handler, class Request>
using transactional_result_t = typename transactional_result<Handler, Request>::type;

/// What the copies of a transactional middleware share, and every running operation owns too.
template <class Handler>
struct transactional_state {
    transactional_state(Handler handler_, std::shared_ptr<postgres::transaction_pool> pool_,
                        std::function<bool(unsigned)> commit_if_, idempo::options options_)
        : handler(std::move(handler_)),
          pool(std::move(pool_)),
          commit_if(std::move(commit_if_)),
          options(std::move(options_)),
          rules(options) {}

    Handler handler;
    std::shared_ptr<postgres::transaction_pool> pool;
    std::function<bool(unsigned)> const commit_if;
    idempo::options const options;
    request_rules const rules;
    std::atomic<std::size_t> in_flight{0};
};

/// Obeys the exchange where claim, effect and record are one transaction. Its caller chooses the threads: `transact`
/// blocks, and all else returns at once.
template <class Handler, class Request>
class transactional_driver {
    using step = exchange::step;
    using clock = std::chrono::steady_clock;
    using result_type = std::remove_cvref_t<transactional_result_t<Handler, Request>>;

    /// Of an answer whose generator failed before its first line.
    static constexpr unsigned unknown_status = 500;

public:
    using state = transactional_state<Handler>;

    /// What comes next: `transact`, `paused` after `pause()`, or `release`.
    enum class stage { transact, pause, respond };

    transactional_driver(std::shared_ptr<state> shared, Request request)
        : state_(std::move(shared)),
          request_(std::move(request)),
          answered_(request_),
          exchange_(state_->options, exchange::claim_lifetime::transaction),
          ticket_(state_->in_flight),
          reservation_(state_->pool),
          transaction_(state_->pool) {}

    stage start() {
        try {
            auto const facts = look_at(state_->options, request_);
            if (facts) return advance(exchange_.admit(*facts));
            unkeyed_.emplace();
            return stage::transact;
        } catch (...) {  // `options::applies` threw
            exception_ = std::current_exception();
            unkeyed_.emplace();
            return stage::respond;
        }
    }

    [[nodiscard]] std::chrono::milliseconds pause() const noexcept { return exchange_.pause(); }
    stage paused() { return advance(exchange_.paused()); }

    /// Instead of `transact`: there is no thread for it.
    stage refuse() {
        if (!unkeyed_) return advance(exchange_.claimed(error::store_unavailable, {}));
        is_unavailable_ = true;
        return stage::respond;
    }

    stage transact() {
        if (unkeyed_) return transact_unkeyed();
        error_code error;
        auto met = transaction_.claim(exchange_.claim(), error);
        auto next = exchange_.claimed(error, std::move(met));
        while (next == step::run || next == step::capture || next == step::complete || next == step::abandon) {
            next = perform(next);
        }
        reservation_.release();
        return advance(next);
    }

    /// \throws what the handler threw
    reply_for<result_type> release() && {
        if (exception_ && !is_undone_ && (unkeyed_ || exchange_.answer() == exchange::answer_source::exception)) {
            std::rethrow_exception(exception_);
        }
        if (captured_ && !is_unavailable_ && (unkeyed_ || exchange_.answer() == exchange::answer_source::handler)) {
            return reply_for<result_type>(std::move(*captured_).release());
        }
        return reply_for<result_type>(substitute());
    }

    /// As `release`; what the handler threw is answered with a refusal.
    http::message_generator release_message() && {
        if (!exception_) return std::move(*this).release();
        return substitute();
    }

private:
    /// As far as nothing has to be waited for.
    stage advance(step next) {
        while (true) {
            switch (next) {
            case step::identify: next = identify(); break;
            case step::claim: {
                auto met = reservation_.take(exchange_.claim());
                if (!met) return stage::transact;
                next = exchange_.claimed({}, std::move(*met));
                break;
            }
            case step::abandon:  // nothing has been claimed
                reservation_.release();
                next = exchange_.abandoned({});
                break;
            case step::pause: return stage::pause;
            default: return stage::respond;
            }
        }
    }

    step identify() {
        try {
            return detail::identify(exchange_, state_->options, state_->rules, request_);
        } catch (...) {
            exception_ = std::current_exception();
            return exchange_.identify_threw(exception_);
        }
    }

    step perform(step next) {
        switch (next) {
        case step::run:
            run_handler(exchange_.execution());
            if (is_undone_) return undo();
            return exception_ ? exchange_.threw(exception_)
                              : exchange_.ran(captured_->status().value_or(unknown_status), keeps_rows_);
        case step::capture:
            return exchange_.captured(
                captured_->record({state_->options.max_response_body, state_->options.store_set_cookie}));
        case step::complete: return complete();
        default:
            // Also where the connection is lost, nothing is left of it.
            transaction_.roll_back();
            return exchange_.abandoned({});
        }
    }

    step undo() {
        transaction_.roll_back();
        return exchange_.undone(exception_);
    }

    step complete() {
        if (!transaction_.is_open()) return complete_anew();
        std::optional<clock::time_point> began;
        auto const committing = [&] {
            if (!state_->options.observer) return;
            began = clock::now();
            tell_commit(event_type::step_began, {}, {});
        };
        using postgres::transaction_end;
        auto ended = transaction_.complete(exchange_.complete(), keeps_rows_, committing);
        bool const is_told = ended.end == transaction_end::committed || ended.end == transaction_end::overtaken;
        auto const error = is_told ? error_code() : error_code(error::store_unavailable);
        if (began) tell_commit(event_type::step_ended, clock::now() - *began, error);
        if (ended.end == transaction_end::refused) {
            keeps_rows_ = false;
            exception_ = transaction_.refusal();
            return exchange_.commit_refused(exception_);
        }
        return exchange_.completed(error, std::move(ended.result));
    }

    /// The transaction of the handler is gone, and there is a response to be stored all the same.
    step complete_anew() {
        error_code error;
        auto met = transaction_.claim(exchange_.claim(), error);
        if (!error && std::holds_alternative<granted>(met)) return complete();
        if (error) return exchange_.completed(error, {});
        if (auto* other = std::get_if<completed>(&met)) return exchange_.completed({}, std::move(*other));
        if (auto* other = std::get_if<in_flight>(&met)) return exchange_.completed({}, *other);
        return exchange_.completed({}, mismatch{});
    }

    void tell_commit(event_type type, clock::duration duration, error_code error) const {
        event event;
        event.type = type;
        event.step = event_step::commit;
        event.key = exchange_.claim().key;
        event.attempt = 1;
        event.duration = duration;
        event.error = error;
        notify(state_->options.observer, event);
    }

    void run_handler(execution& execution) {
        try {
            captured_.emplace(invoke(execution), state_->options.max_response_body);
            keeps_rows_ = commits(captured_->status().value_or(unknown_status));
        } catch (pqxx::transaction_rollback const&) {  // a deadlock, or a serialization failure
            exception_ = std::current_exception();
            is_undone_ = true;
        } catch (...) {
            exception_ = std::current_exception();
        }
        if (execution.decision() == execution::verdict::keep) keeps_rows_ = true;
    }

    result_type invoke(execution& execution) {
        if constexpr (std::invocable<Handler&, Request, pqxx::subtransaction&, idempo::execution&>) {
            return state_->handler(std::move(request_), transaction_.rows(), execution);
        } else {
            return state_->handler(std::move(request_), transaction_.rows());
        }
    }

    [[nodiscard]] bool commits(unsigned status) const {
        constexpr unsigned first_error = 400;
        return state_->commit_if ? state_->commit_if(status) : status < first_error;
    }

    stage transact_unkeyed() {
        error_code error;
        transaction_.open(error);
        is_unavailable_ = bool(error);
        if (error) return stage::respond;
        run_handler(*unkeyed_);
        if (is_undone_ || !keeps_rows_ || unkeyed_->decision() == execution::verdict::release) {
            transaction_.roll_back();
            is_unavailable_ = is_undone_;
        } else {
            commit_unkeyed();
        }
        return stage::respond;
    }

    void commit_unkeyed() {
        using postgres::transaction_end;
        switch (transaction_.commit()) {
        case transaction_end::committed: break;
        case transaction_end::refused: exception_ = transaction_.refusal(); break;
        // Nobody can look up what became of it, so nobody may be told to try again.
        case transaction_end::in_doubt:
            exception_ = std::make_exception_ptr(std::runtime_error("idempo: it is unknown whether COMMIT happened"));
            break;
        default: is_unavailable_ = true;
        }
    }

    http::response<http::string_body> substitute() const {
        auto const& options = state_->options;
        if (!unkeyed_) {
            if (exchange_.answer() == exchange::answer_source::stored) {
                return replay_response(exchange_, options, answered_);
            }
            return refusal_response(exchange_, options, answered_);
        }
        refusal_details details{is_unavailable_ ? refusal::store_unavailable : refusal::handler_threw, {}, {}};
        if (is_unavailable_) details.retry_after = options.retry_after;
        return make_refusal(options.problems, options.write_problem, details, answered_);
    }

    std::shared_ptr<state> state_;
    Request request_;
    answered_request answered_;
    exchange exchange_;
    in_flight_ticket ticket_;
    postgres::reservation reservation_;
    postgres::keyed_transaction transaction_;
    /// The execution of a request that has no key, or is none of ours.
    std::optional<execution> unkeyed_;
    std::optional<captured_response<result_type>> captured_;
    std::exception_ptr exception_;
    bool keeps_rows_ = false;
    /// The database chose the handler's transaction as the one to give way to another: a retry may well succeed.
    bool is_undone_ = false;
    bool is_unavailable_ = false;
};

}  // namespace idempo::detail
