// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_completion.hpp>
#include <idempo/exchange/drain.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/layer.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/keyed_transaction.hpp>
#include <idempo/postgres/transaction/transaction_refused.hpp>
#include <idempo/postgres/transaction/transactional_driver.hpp>
#include <idempo/postgres/transaction/transactional_options.hpp>
#include <idempo/step.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <pqxx/subtransaction>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace idempo {

/// A handler that is given the transaction: `handler(request, pqxx::subtransaction&)`, or with `execution&` behind it.
/// It answers by returning. What it does through the transaction is committed with the stored response, or not at all.
template <class Handler, class Request, class Rows = pqxx::subtransaction>
concept transactional_handler = reply<detail::transactional_result_t<Handler, Request, Rows>>;

namespace detail {

/// For layers that are asked with the wrong kind of handler.
template <class Handler, class Request, class Rows>
concept awaitable_transactional_handler = reply<typename awaited<transactional_result_t<Handler, Request, Rows>>::type>;

/// One call with a completion token: the driver's blocking part on a thread of the pool, and the rest where it
/// completes.
template <class Driver, class Completion>
class transactional_operation : public std::enable_shared_from_this<transactional_operation<Driver, Completion>> {
    using stage = typename Driver::stage;
    using state = typename Driver::state;

public:
    template <class Request>
    transactional_operation(std::shared_ptr<state> shared, Request request, execution* outer, Completion completion)
        : pool_(shared->store),
          driver_(std::move(shared), std::move(request), outer),
          completion_(std::move(completion), where(completion, *pool_)) {}

    void start() {
        completion_.expect();
        go_on(&Driver::start);
        completion_.initiated();
    }

private:
    static call_executor where(Completion const& completion, typename Driver::pool const& pool) {
        asio::any_io_executor const pools = executor_of(pool);
        return {io_executor(asio::get_associated_executor(completion, pools), pools), false};
    }

    /// \param reach gives the next stage
    void go_on(stage (Driver::*reach)()) {
        auto const self = this->shared_from_this();
        try {
            auto next = (driver_.*reach)();
            if (next == stage::transact) {
                if (submit(*pool_, [self] { self->go_on(&Driver::transact); })) return;
                next = driver_.refuse();
            }
            if (next == stage::pause) return wait();
        } catch (...) {  // out of memory, or one of the caller's functions
            driver_.fail(std::current_exception());
        }
        completion_.complete(std::move(driver_).release_message());
    }

    void wait() {
        timer_.emplace(completion_.where().executor, driver_.pause());
        timer_->async_wait(
            asio::bind_executor(completion_.where().executor,
                                [self = this->shared_from_this()](error_code) { self->go_on(&Driver::paused); }));
    }

    std::shared_ptr<typename Driver::pool> pool_;
    Driver driver_;
    call_completion<Completion> completion_;
    std::optional<asio::steady_timer> timer_;
};

}  // namespace detail

/// Wraps a handler so that claim, the handler's own rows and the stored response are one transaction: a crash at any
/// point leaves one effect or none. That is said of rows in this database alone; what goes elsewhere needs
/// `execution::derived_key`, or an outbox: see docs/postgres.md.
///
/// Copies share connections and threads. All members may be called from any thread; the handler is called concurrently.
/// Requests without a key run in a transaction, too, without a claim.
///
/// - The handler must use the transaction that it is given, and neither commit nor end it. What it leaves in the
/// session
///   (`SET`, temporary tables, session locks) is gone before the next request.
/// - A success that a client sees is committed, and has a record. Two exceptions are the handler's own word: it called
///   `execution::release`, or `transactional_options::commit_if` says no.
/// - A handler that throws leaves nothing, nor does one whose status neither commits (`commit_if`) nor is stored
///   (`options::store_if`). One whose status is stored and does not commit leaves its response. `execution::keep` and
///   `release` overrule both.
/// - What throws after the handler has answered, such as the writer of its response's body, is not the handler's throw:
///   the rows stay, under a record that says that the response was not retained. Without a key they are rolled back.
/// - Where PostgreSQL does not commit what the handler did (`transaction_refused`), the handler has as good as thrown
///   that.
/// - 409 where the key is in flight, in this process before a connection is taken. There is no lease, and `attempt` is
///   always 1: the server ends the transaction of a process that is gone.
/// - 503 where there is no connection in time, the server fails, or a transaction that ran beside another is refused
///   (40001, 40P01). A COMMIT whose answer was lost is looked up on another connection; 503 where that cannot be told
///   in time, and then a retry will be. Without a key nobody can look it up: 500, without `Retry-After`.
template <class Handler, class Database = detail::postgres_transactions>
class transactional_middleware {
    using state = detail::transactional_state<Handler, Database>;
    template <class Request>
    using reply_type = detail::reply_for<
        detail::transactional_result_t<Handler, std::remove_cvref_t<Request>, typename Database::rows>>;

public:
    explicit transactional_middleware(std::shared_ptr<state> shared) : state_(std::move(shared)) {}

    /// For a synchronous session: all of it happens on the calling thread.
    /// \throws whatever the handler throws, after its transaction has ended
    template <request Request>
        requires transactional_handler<Handler, std::remove_cvref_t<Request>, typename Database::rows>
    reply_type<Request> operator()(Request&& request) const {
        return run(std::forward<Request>(request), nullptr);
    }

    /// As the inner handler of another layer, which is told what came of it: a refusal is not to be stored there.
    template <request Request>
        requires transactional_handler<Handler, std::remove_cvref_t<Request>, typename Database::rows>
    reply_type<Request> operator()(Request&& request, execution& outer) const {
        return run(std::forward<Request>(request), &outer);
    }

    /// For callback and coroutine sessions: completes with `void(http::message_generator)`, once, whatever throws, on
    /// the token's associated executor, by default on that of the layer, and never from within this call. The handler
    /// runs on a thread of the layer's own, and may block there. Where it throws, the answer is 500. Cancellation has
    /// no effect.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
    auto operator()(Request&& request, Token&& completion_token) const {
        return initiate(std::forward<Request>(request), nullptr, completion_token);
    }

    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
    auto operator()(Request&& request, execution& outer, Token&& completion_token) const {
        return initiate(std::forward<Request>(request), &outer, completion_token);
    }

    /// As of `middleware`: from now on new requests with a key are refused with 503, and answers close connections.
    void begin_drain() const noexcept { state_->draining = true; }

    /// Waits until no request is in flight, for shutdown. Returns whether that came about within the timeout.
    bool drain(std::chrono::milliseconds timeout) const { return detail::drain(state_->in_flight, timeout); }

    /// As of `middleware`: `drain` without blocking.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_drain(asio::any_io_executor executor, std::chrono::milliseconds timeout,
                     Token&& completion_token) const {
        return detail::async_drain(state_, std::move(executor), timeout, std::forward<Token>(completion_token));
    }

private:
    template <class Request>
    reply_type<Request> run(Request&& request, execution* outer) const {
        using driver_type = detail::transactional_driver<Handler, std::remove_cvref_t<Request>, Database>;
        using stage = typename driver_type::stage;
        driver_type driver(state_, std::forward<Request>(request), outer);
        auto next = driver.start();
        while (next != stage::respond) {
            if (next == stage::transact) {
                next = driver.transact();
            } else {
                std::this_thread::sleep_for(driver.pause());
                next = driver.paused();
            }
        }
        return std::move(driver).release();
    }

    template <class Request, class Token>
    auto initiate(Request&& request, execution* outer, Token& completion_token) const {
        using owned_request = std::remove_cvref_t<Request>;
        using rows = typename Database::rows;
        static_assert(!detail::awaitable_transactional_handler<Handler, owned_request, rows>,
                      "idempo: a transactional handler answers by returning: a transaction blocks its thread. A "
                      "coroutine awaits the call of the middleware instead");
        static_assert(transactional_handler<Handler, owned_request, rows>,
                      "idempo: a transactional handler takes (request, pqxx::subtransaction&), or execution& behind "
                      "them, and returns a response");
        return asio::async_initiate<Token, void(http::message_generator)>(
            [state = state_, outer](auto completion, owned_request owned) {
                using driver = detail::transactional_driver<Handler, owned_request, Database>;
                using operation = detail::transactional_operation<driver, decltype(completion)>;
                std::make_shared<operation>(state, std::move(owned), outer, std::move(completion))->start();
            },
            completion_token, std::forward<Request>(request));
    }

    std::shared_ptr<state> state_;
};

/// Makes middlewares; they share its connections.
class transactional_layer : public layer_base {
public:
    transactional_layer(asio::any_io_executor executor, transactional_options database, idempo::options options);

    template <class Handler>
    transactional_middleware<Handler> operator()(Handler handler) const {
        using state = detail::transactional_state<Handler, detail::postgres_transactions>;
        return transactional_middleware<Handler>(
            std::make_shared<state>(std::move(handler), pool_, commit_if_, options_));
    }

private:
    std::function<bool(unsigned)> commit_if_;
    idempo::options options_;
    std::shared_ptr<postgres::transaction_pool> pool_;
};

/// `transactional(executor, database) | handler` is a middleware. Threads belong to the executor's context, which must
/// outlive all copies; its destructor ends what they do. `migrate` has made the table.
/// \throws std::invalid_argument where the options make no sense, or speak of what there is none of here: leases
/// (`on_takeover`, `on_throw::hold`), unprotected runs (`on_store_error`), and a claim that is released after its
/// effect
/// (`unstorable::release`)
[[nodiscard]] transactional_layer transactional(asio::any_io_executor executor, transactional_options database,
                                                options options = {});

template <class Handler, class Database>
inline constexpr bool takes_completion_token<transactional_middleware<Handler, Database>> = true;

}  // namespace idempo
