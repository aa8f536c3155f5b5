// SPDX-License-Identifier: MIT
#include "common/charge_service.hpp"
#include "common/port.hpp"
#include "common/sync_charges.hpp"
#include "common/sync_session.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <iostream>

/// \file
/// A thread for each connection, and the middleware called like the function that it wraps: common/sync_session.hpp.

int main(int argument_count, char** arguments) {
    charge_service charges;

    idempo::memory_store const store;
    auto const handle = idempo::idempotency(store) | sync_charges(charges);

    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context, local_endpoint(argument_count, arguments));
    std::cout << "listening on http://" << acceptor.local_endpoint() << std::endl;
    serve_forever(acceptor, handle);
}
