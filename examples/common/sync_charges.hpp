// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_service.hpp"

#include <idempo/execution.hpp>

#include <thread>
#include <variant>

/// The handler of a server with a thread for each connection: waiting blocks that thread.
class sync_charges {
public:
    explicit sync_charges(charge_service& service) : service_(&service) {}

    http_response operator()(http_request const& request, idempo::execution& execution) const {
        auto routed = service_->route(request);
        auto const* const order = std::get_if<charge_order>(&routed);
        if (!order) {
            auto& answer = std::get<http_response>(routed);
            if (charge_service::is_unrouted(answer)) execution.release();
            return std::move(answer);
        }
        std::this_thread::sleep_for(order->delay);
        return service_->charge(*order, execution.attempt());
    }

private:
    charge_service* service_;
};
