// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <utility>
#include <variant>

/// \file
/// Whether a store can take a claim now, for a readiness probe. It is tried: a claim of a key that nobody else has,
/// and then Abandon. So a wrong password, a missing right, a full or a read-only server are all seen, with any store.
/// Where the answer to the claim is lost, what it has written is gone after two seconds.

namespace idempo {

namespace asio = boost::asio;

namespace detail {

/// A claim of a key that nobody has ever used.
[[nodiscard]] inline claim_request readiness_claim() {
    claim_request claim;
    for (auto to = claim.key.bytes.begin(); to != claim.key.bytes.end();) {
        to = std::ranges::copy(make_fencing_token().bytes, to).out;
    }
    claim.fencing_token = make_fencing_token();
    claim.lease = std::chrono::seconds{1};
    claim.retention = std::chrono::seconds{1};
    return claim;
}

/// A readiness probe on its way: its claim and its deadline, whichever comes first, end it.
template <class Store, class Handler>
class readiness : public std::enable_shared_from_this<readiness<Store, Handler>> {
public:
    readiness(Store store, Handler done)
        : store_(std::move(store)),
          done_(std::move(done)),
          work_(asio::get_associated_executor(done_, store_.get_executor())),
          deadline_(store_.get_executor()) {}

    void start(std::chrono::milliseconds within) {
        deadline_.expires_after(within);
        deadline_.async_wait([self = this->shared_from_this()](error_code cancelled) {
            if (!cancelled) self->finish(error::store_timed_out);
        });
        store_.async_claim(claim_, [self = this->shared_from_this()](error_code error, claim_result const& result) {
            // Nobody waits for the end of it: what stays behind is soon gone.
            self->store_.async_abandon(self->claim_.key, self->claim_.fencing_token, [self](error_code) {});
            bool const is_granted = std::holds_alternative<granted>(result);
            self->finish(error || is_granted ? error : error_code(error::store_unavailable));
        });
    }

private:
    void finish(error_code result) {
        if (has_ended_.exchange(true)) return;
        auto const at_work = std::move(work_);
        auto const executor = asio::get_associated_executor(done_, store_.get_executor());
        asio::post(executor, asio::append(std::move(done_), result));
        asio::post(deadline_.get_executor(), [self = this->shared_from_this()] { self->deadline_.cancel(); });
    }

    Store store_;
    Handler done_;
    /// The handler's own context may have nothing else to do until then.
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>> work_;
    claim_request claim_ = readiness_claim();
    asio::steady_timer deadline_;
    std::atomic<bool> has_ended_{false};
};

}  // namespace detail

/// No error where the store can take a claim now; else what is in the way, as a claim would say it.
/// The call lasts as long as a claim at most.
template <store Store>
[[nodiscard]] error_code ready(Store& store) {
    auto const claim = detail::readiness_claim();
    error_code error;
    auto const result = store.claim(claim, error);
    if (!error && !std::holds_alternative<granted>(result)) error = error::store_unavailable;
    error_code ignored;
    store.abandon(claim.key, claim.fencing_token, ignored);
    return error;
}

/// The same for an asynchronous store, with `error::store_timed_out` where it takes longer than `within`.
template <async_store Store, asio::completion_token_for<void(error_code)> Token>
auto async_ready(Store store, std::chrono::milliseconds within, Token&& done) {
    return asio::async_initiate<Token, void(error_code)>(
        [](auto handler, Store of, std::chrono::milliseconds limit) {
            std::make_shared<detail::readiness<Store, decltype(handler)>>(std::move(of), std::move(handler))
                ->start(limit);
        },
        done, std::move(store), within);
}

}  // namespace idempo
