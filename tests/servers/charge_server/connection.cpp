// SPDX-License-Identifier: MIT
#include "servers/charge_server/connection.hpp"

#include "servers/charge_server/refusals.hpp"

#include <boost/asio/post.hpp>

namespace {

connection_registry::stop_function stop_reading(std::shared_ptr<connection> const& opened) {
    return [executor = opened->stream.get_executor(), weak = std::weak_ptr(opened)] {
        boost::asio::post(executor, [weak] {
            auto const connection = weak.lock();
            if (connection && connection->reading) connection->stream.cancel();
        });
    };
}

}  // namespace

std::shared_ptr<connection> open_connection(session_setup& setup, boost::asio::ip::tcp::socket socket) {
    auto opened = std::make_shared<connection>(std::move(socket));
    opened->place = setup.registry.enter(stop_reading(opened));
    if (opened->place) return opened;
    refuse_connection(opened->stream.release_socket());
    return nullptr;
}
