#pragma once

#include "common/charge_service.hpp"

#include <idempo/execution.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <utility>
#include <variant>

/// The handler of a callback server: it waits by a timer, whose callback answers. Needs `idempo::async_handler`, since
/// it takes a completion token.
class callback_charges {
public:
    explicit callback_charges(charge_service& service) : service_(&service) {}

    template <class Answer>
    void operator()(http_request const& request, idempo::execution const& execution, Answer answer) const {
        auto routed = service_->route(request);
        auto const* const order = std::get_if<charge_order>(&routed);
        if (!order) return answer(http::message_generator(std::get<http_response>(std::move(routed))));
        if (order->delay > std::chrono::milliseconds::zero())
            return charge_later(*order, execution.attempt(), std::move(answer));
        answer(http::message_generator(service_->charge(*order, execution.attempt())));
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
            try {
                answer(http::message_generator(service->charge(order, attempt)));
            } catch (std::exception const&) {
                // The caller has returned long ago, so pass the exception on instead of throwing it.
                answer(std::current_exception());
            }
        };
        waiting.async_wait(boost::asio::bind_executor(executor, std::move(charge)));
    }

    charge_service* service_;
};
