// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/observer.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>

#include <chrono>
#include <utility>

/// \file
/// Ends a record whose outcome nobody knows, by hand, and tells an observer. `settle` of a store tells nobody: a store
/// has no observer, and the service that meets the record later may be another process.

namespace idempo {

namespace asio = boost::asio;

namespace detail {

/// What `settle` of a store is asked for, and when.
class told_settlement {
public:
    told_settlement(settle_request const& request, idempo::observer told) : told_(std::move(told)) {
        event_.type = request.record ? event_type::answered_by_hand : event_type::released_by_hand;
        event_.step = event_step::settle;
        event_.key = request.key;
        event_.attempt = request.attempt;
        if (!told_) return;
        began_ = std::chrono::steady_clock::now();
        if (!request.record) return;
        error_code is_unreadable;  // as sealed records are: then the status is 0
        event_.status = stored_response::decode(*request.record, is_unreadable).status();
    }

    void end(error_code error, bool is_settled) {
        if (!told_ || (!error && !is_settled)) return;
        event_.duration = std::chrono::steady_clock::now() - began_;
        event_.error = error;
        if (error) event_.type = event_type::store_error;
        notify(told_, event_);
    }

private:
    idempo::observer told_;
    event event_;
    std::chrono::steady_clock::time_point began_{};
};

}  // namespace detail

/// `store.settle(request, error)`, which tells `told` what came of it: `event_type::answered_by_hand` with a record,
/// `released_by_hand` without one, `store_error` where the store failed, and nothing where the record had changed.
/// Whether it has changed the record; the error is that of the store. Blocks as long as the store does. The observer is
/// called in the calling thread, before this returns.
template <parking_store Store>
[[nodiscard]] bool settle(Store& store, settle_request const& request, idempo::observer const& told,
                          error_code& error) {
    detail::told_settlement settlement(request, told);
    bool const is_settled = store.settle(request, error);
    settlement.end(error, is_settled);
    return is_settled;
}

/// The same for an asynchronous store; completes as `store.async_settle`. The observer is called where the completion
/// handler is, just before it. Cancellation is that of the store.
template <async_parking_store Store, asio::completion_token_for<void(error_code, bool)> Token>
auto async_settle(Store store, settle_request request, idempo::observer told, Token&& done) {
    return asio::async_initiate<Token, void(error_code, bool)>(
        [](auto handler, Store of, settle_request asked, idempo::observer tells) {
            auto const where = asio::get_associated_executor(handler, of.get_executor());
            auto tell = [settlement = detail::told_settlement(asked, std::move(tells)),
                         handler = std::move(handler)](error_code error, bool is_settled) mutable {
                settlement.end(error, is_settled);
                std::move(handler)(error, is_settled);
            };
            of.async_settle(std::move(asked), asio::bind_executor(where, std::move(tell)));
        },
        done, std::move(store), std::move(request), std::move(told));
}

}  // namespace idempo
