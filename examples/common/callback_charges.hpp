// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_service.hpp"

#include <idempo/execution.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

/// The handler of a callback server: it waits by a timer, whose callback answers. Needs `idempo::async_handler`, since
/// it takes a completion token.
class callback_charges {
public:
    explicit callback_charges(charge_service& service) : service_(&service) {}

    template <class Answer>
    void operator()(http_request const& request, idempo::execution& execution, Answer answer) const {
        auto routed = service_->route(request);
        auto const* const order = std::get_if<charge_order>(&routed);
        if (!order) {
            auto& answered = std::get<http_response>(routed);
            if (charge_service::is_unrouted(answered)) execution.release();
            return answer(std::move(answered));
        }
        if (order->delay > std::chrono::milliseconds::zero())
            return charge_later(*order, execution.attempt(), std::move(answer));
        answer(service_->charge(*order, execution.attempt()));
    }

private:
    template <class Answer>
    void charge_later(charge_order const& order, unsigned attempt, Answer answer) const {
        auto const executor = boost::asio::get_associated_executor(answer);
        auto timer = std::make_unique<boost::asio::steady_timer>(executor, order.delay);
        auto& waiting = *timer;
        auto charge = [service = service_, order, attempt, timer = std::move(timer),
                       answer = std::move(answer)](auto const&) mutable {
            timer.reset();
            std::exception_ptr failure;
            std::optional<http_response> charged;
            try {
                charged = service->charge(order, attempt);
            } catch (std::exception const&) {
                failure = std::current_exception();
            }
            // Whoever called has returned long ago: there is nobody left to throw to, but to tell. And only once, so
            // outside of the try.
            if (failure) return answer(std::move(failure));
            answer(std::move(*charged));
        };
        waiting.async_wait(boost::asio::bind_executor(executor, std::move(charge)));
    }

    charge_service* service_;
};
