// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_completion.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/handler_call.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/keyed_transaction.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/captured_response.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/request_head.hpp>

#include <boost/beast/http/message_generator.hpp>

#include <pqxx/except>
#include <pqxx/subtransaction>

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace idempo::detail {

template <class Handler, class Request, class Rows>
struct transactional_result {};
template <class Handler, class Request, class Rows>
    requires std::invocable<Handler&, Request, Rows&, execution&>
struct transactional_result<Handler, Request, Rows> : std::invoke_result<Handler&, Request, Rows&, execution&> {};
template <class Handler, class Request, class Rows>
    requires(!std::invocable<Handler&, Request, Rows&, execution&> && std::invocable<Handler&, Request, Rows&>)
struct transactional_result<Handler, Request, Rows> : std::invoke_result<Handler&, Request, Rows&> {};

template <class Handler, class Request, class Rows = pqxx::subtransaction>
using transactional_result_t = typename transactional_result<Handler, Request, Rows>::type;

/// Where transactions come from, as the driver needs it.
struct postgres_transactions {
    using pool = postgres::transaction_pool;
    using reservation = postgres::reservation;
    using transaction = postgres::keyed_transaction;
    using rows = pqxx::subtransaction;

    /// Whether the database chose the handler's transaction to give way to another one: a deadlock, or a serialization
    /// failure. A retry may well succeed.
    [[nodiscard]] static bool has_undone(std::exception_ptr const& thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (pqxx::transaction_rollback const&) {
            return true;
        } catch (...) {
            return false;
        }
    }
};

/// What the copies of a transactional middleware share, and every running operation owns too.
template <class Handler, class Database>
struct transactional_state : middleware_state<Handler, std::shared_ptr<typename Database::pool>> {
    transactional_state(Handler handler_, std::shared_ptr<typename Database::pool> pool,
                        std::function<bool(unsigned)> commit_if_, idempo::options options_)
        : middleware_state<Handler, std::shared_ptr<typename Database::pool>>(std::move(handler_), std::move(pool),
                                                                              std::move(options_)),
          commit_if(std::move(commit_if_)) {}

    std::function<bool(unsigned)> const commit_if;
};

/// A handler with the transaction that it is given, as one that takes `(request, execution&)`.
template <class Handler, class Transaction, class Rows>
struct handler_in_transaction {
    template <class Request>
    transactional_result_t<Handler, Request, Rows> operator()(Request&& request, execution& execution) {
        if constexpr (std::invocable<Handler&, Request, Rows&, idempo::execution&>) {
            return handler(std::forward<Request>(request), transaction.rows(), execution);
        } else {
            return handler(std::forward<Request>(request), transaction.rows());
        }
    }

    Handler& handler;
    Transaction& transaction;
};

/// Obeys the exchange where claim, effect and record are one transaction. Its caller chooses the threads: `transact`
/// blocks, and all else returns at once. What a member throws is to be reported by `fail`, or thrown on.
template <class Handler, class Request, class Database = postgres_transactions>
class transactional_driver {
    using step = exchange::step;
    using transaction_type = typename Database::transaction;
    using handler_type = handler_in_transaction<Handler, transaction_type, typename Database::rows>;
    using call_type = handler_call<transactional_driver, handler_type, Request>;

public:
    using state = transactional_state<Handler, Database>;
    using pool = typename Database::pool;
    using reply_type = reply_for<typename call_type::response_type>;

    /// What comes next: `transact`, `paused` after `pause()`, or `release`.
    enum class stage { transact, pause, respond };

    /// \param outer of the layer further out whose handler this is, or null; it outlives the call
    transactional_driver(std::shared_ptr<state> shared, Request request, execution* outer)
        : state_(std::move(shared)),
          request_(std::move(request)),
          answered_(request_),
          outer_(outer),
          exchange_(state_->options, state_->commit_if),
          ticket_(state_->in_flight),
          reservation_(state_->store),
          transaction_(state_->store),
          handler_{state_->handler, transaction_} {}

    stage start() { return advance(begin()); }

    [[nodiscard]] std::chrono::milliseconds pause() const noexcept { return exchange_.pause(); }
    stage paused() { return advance(exchange_.paused()); }

    /// Instead of `transact`: there is no thread for it.
    stage refuse() { return advance(exchange_.overloaded()); }

    stage transact() {
        auto next = begins_with_;
        while (next != step::identify && next != step::pause && next != step::respond) next = perform(next);
        reservation_.release();
        return advance(next);
    }

    /// For what one of the other members has thrown: out of memory, or one of the caller's functions.
    void fail(std::exception_ptr exception) noexcept {
        exception_ = std::move(exception);
        failed_ = true;
    }

    /// \throws what the handler threw
    reply_type release() && {
        report();
        if (exchange_.answer() == exchange::answer_source::exception) std::rethrow_exception(exception_);
        return answer();
    }

    /// As `release`; what was thrown is answered with a refusal.
    http::message_generator release_message() && {
        if (failed_) {
            tell_exception(exchange_.observer_with_trace(), exception_);
            return failure();
        }
        report();
        return message_or([this] { return to_generator(answer()); }, [this] { return failure(); });
    }

private:
    step begin() {
        std::optional<request_facts> facts;
        try {
            facts = look_at(state_->options, request_);
        } catch (...) {  // `options::applies` threw
            exception_ = std::current_exception();
            return exchange_.identify_threw(exception_);
        }
        if (!facts) return exchange_.pass();
        facts->draining = state_->draining;
        return exchange_.admit(*facts);
    }

    /// As far as nothing has to be waited for.
    stage advance(step next) {
        while (true) {
            switch (next) {
            case step::identify: next = identify(); break;
            case step::claim: {
                auto met = reservation_.take(exchange_.claim());
                if (!met) return transact_from(next);
                next = exchange_.claimed({}, std::move(*met));
                break;
            }
            case step::open: return transact_from(next);
            case step::pause: return stage::pause;
            default: reservation_.release(); return stage::respond;
            }
        }
    }

    stage transact_from(step first) noexcept {
        begins_with_ = first;
        return stage::transact;
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
        error_code error;
        switch (next) {
        case step::claim: {
            auto met = transaction_.claim(exchange_.claim(), error);
            return exchange_.claimed(error, std::move(met));
        }
        case step::look: {
            auto const found = transaction_.peek(exchange_.look(), error);
            return exchange_.looked(error, found);
        }
        case step::open: transaction_.open(error); return exchange_.opened(error);
        case step::run: return run();
        case step::capture: return capture(exchange_, *response_);
        case step::complete: {
            auto ended =
                transaction_.complete(exchange_.complete(), exchange_.keeps_rows(), [this] { exchange_.committing(); });
            return ended_with(ended.end, std::move(ended.result));
        }
        case step::commit: return ended_with(transaction_.commit(), done{});
        case step::abandon:
            // Also where the connection is lost, nothing is left of it.
            transaction_.roll_back();
            return exchange_.abandoned({});
        default: return step::respond;
        }
    }

    step run() {
        call_.run(handler_, request_, &exchange_.execution());
        if (call_.exception()) {
            exception_ = call_.exception();
            return Database::has_undone(exception_) ? exchange_.undone(exception_) : exchange_.threw(exception_);
        }
        auto const& options = state_->options;
        return capture_answer(exchange_, response_, std::move(call_.response()), options.max_response_body,
                              foreign_marker(options, exchange_.execution()), exception_);
    }

    template <class End>
    step ended_with(End end, complete_result result) {
        switch (end) {
        case End::committed:
        case End::overtaken: return exchange_.completed({}, std::move(result));
        case End::refused: exception_ = transaction_.refusal(); return exchange_.commit_refused(exception_);
        case End::in_doubt:
            exception_ = std::make_exception_ptr(std::runtime_error("idempo: it is unknown whether COMMIT happened"));
            return exchange_.commit_in_doubt(exception_);
        case End::undone: break;
        }
        return exchange_.completed(error::store_unavailable, {});
    }

    void report() {
        if (outer_ != nullptr) exchange_.report_to(*outer_);
        ticket_.reset();
    }

    reply_type answer() {
        auto const& options = state_->options;
        bool const closes = state_->draining;
        if (closes) answered_.keep_alive = false;
        switch (exchange_.answer()) {
        case exchange::answer_source::handler:
            return reply_type(handler_response(exchange_, options, std::move(*response_).release(), closes));
        case exchange::answer_source::stored: return replay_response<reply_type>(exchange_, options, answered_);
        case exchange::answer_source::exception:
        case exchange::answer_source::refusal: break;
        }
        request_head const head(request_);
        return reply_type(refusal_response(exchange_, options, answered_, exchange_.handed_over() ? nullptr : &head));
    }

    http::message_generator failure() const {
        return make_refusal(state_->options.problems, state_->options.write_problem, {refusal::handler_threw, {}, {}},
                            answered_);
    }

    std::shared_ptr<state> state_;
    Request request_;
    answered_request answered_;
    execution* outer_;
    exchange exchange_;
    std::optional<in_flight_ticket> ticket_;
    typename Database::reservation reservation_;
    transaction_type transaction_;
    handler_type handler_;
    call_type call_;
    std::optional<captured_response<typename call_type::response_type>> response_;
    std::exception_ptr exception_;
    step begins_with_ = step::claim;
    /// Something threw that is none of the steps.
    bool failed_ = false;
};

}  // namespace idempo::detail
