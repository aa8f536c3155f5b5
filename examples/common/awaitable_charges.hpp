// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_service.hpp"

#include <idempo/execution.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <utility>
#include <variant>

/// The handler of a coroutine server: waiting suspends the coroutine.
///
/// The call itself is not a coroutine: it reads what it needs while the request lives, and the coroutine owns
/// everything that it uses.
/// \tparam Executor of the coroutines that call it
template <class Executor>
class basic_awaitable_charges {
    using awaitable = boost::asio::awaitable<http_response, Executor>;

public:
    explicit basic_awaitable_charges(charge_service& service) : service_(&service) {}

    awaitable operator()(http_request const& request, idempo::execution& execution) const {
        auto routed = service_->route(request);
        auto const* const answered = std::get_if<http_response>(&routed);
        if (answered && charge_service::is_unrouted(*answered)) execution.release();
        return answer(service_, std::move(routed), execution.attempt());
    }

private:
    static awaitable answer(charge_service* service, std::variant<http_response, charge_order> routed,
                            unsigned attempt) {
        auto const* const order = std::get_if<charge_order>(&routed);
        if (!order) co_return std::get<http_response>(std::move(routed));
        if (order->delay > std::chrono::milliseconds::zero()) {
            boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, order->delay);
            co_await timer.async_wait(boost::asio::use_awaitable_t<Executor>());
        }
        co_return service->charge(*order, attempt);
    }

    charge_service* service_;
};

using awaitable_charges = basic_awaitable_charges<boost::asio::any_io_executor>;
