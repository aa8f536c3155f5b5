// SPDX-License-Identifier: MIT
#include "common/charge_service.hpp"
#include "common/sync_charges.hpp"
#include "custom_store/sqlite_store.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/offload.hpp>

#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/write.hpp>

#include <exception>
#include <future>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

/// \file
/// The middleware on a custom store (sqlite_store.hpp): a first request, its retry, and the same key with another
/// amount. Run it twice with the same file, and the first request is a retry, too.

namespace {

http_request charge(std::string body) {
    http_request request(http::verb::post, "/charge", 11, std::move(body));
    request.set("Idempotency-Key", "\"an-order\"");
    return request;
}

/// Prints the answer with its body.
void show(http::message_generator answer) {
    boost::system::error_code error;
    while (!answer.is_done()) {
        std::size_t shown = 0;
        for (auto const part : answer.prepare(error)) {
            std::cout << std::string_view(static_cast<char const*>(part.data()), part.size());
            shown += part.size();
        }
        if (error) break;
        answer.consume(shown);
    }
    std::cout << "\n\n";
}

void run(std::string const& path) {
    charge_service charges;
    sqlite_store const store({.path = path});

    //[sqlite-sync
    // A synchronous server calls the store directly.
    auto const handle = idempo::idempotency(store) | sync_charges(charges);
    //]
    show(handle(charge(R"({"amount":42})")));
    show(handle(charge(R"({"amount":43})")));

    //[sqlite-async
    // An asynchronous server must not wait for a disk: it runs the calls on a pool. SQLite allows one writer at a time.
    boost::asio::thread_pool pool(1);
    auto const handle_later = idempo::idempotency(idempo::offload(store, pool.get_executor())) | sync_charges(charges);
    //]
    show(handle_later(charge(R"({"amount":42})"), boost::asio::use_future).get());
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 2) {
        std::cerr << "usage: custom_store FILE\n";
        return 2;
    }
    try {
        run(arguments[1]);
        return 0;
    } catch (std::exception const& error) {
        std::cerr << "custom_store: " << error.what() << '\n';
        return 1;
    }
}
