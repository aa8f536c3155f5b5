// SPDX-License-Identifier: MIT
#pragma once

#include "support/postgres_server.hpp"
#include "support/requests.hpp"

#include <idempo/detail/background_thread.hpp>
#include <idempo/execution.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/transactional.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/use_future.hpp>
#include <pqxx/subtransaction>

#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::tests {

inline options single_tenant() {
    options options;
    options.scope = scope::single_tenant();
    return options;
}

inline transactional_options database_of(postgres_server const& server) {
    transactional_options database;
    database.database.connection = server.connection();
    database.connections = 4;
    return database;
}

using transactional_rows = pqxx::subtransaction;
using transactional_handler =
    std::function<text_response(text_request const&, transactional_rows&, idempo::execution&)>;

/// For the server that handlers are to have effects on.
inline void make_effects(postgres_server const& server) { server.ask("CREATE TABLE effects (name text NOT NULL)"); }

/// What a handler does: an effect with the request's key as its name, and after that what the test wants.
inline void have_effect(transactional_rows& transaction, execution const& execution) {
    transaction.exec("INSERT INTO effects VALUES (" + transaction.quote(std::string(execution.key())) + ")");
}

inline std::string effects_in(postgres_server const& server, std::string const& name) {
    return server.ask("SELECT count(*) FROM effects WHERE name = '" + name + "'");
}

inline text_response answer(http::status status, std::string body = "done") {
    text_response response(status, 11);
    response.body() = std::move(body);
    response.prepare_payload();
    return response;
}

inline text_response charge(text_request const&, transactional_rows& transaction, execution& execution) {
    have_effect(transaction, execution);
    return answer(http::status::created, "first of " + std::string(execution.key()));
}

/// A middleware over a server, and how often its handler ran.
class transactional_scene {
public:
    transactional_scene(transactional_handler inner, transactional_options database,
                        idempo::options options = single_tenant())
        : wrapped_(transactional(thread_.get_executor(), std::move(database), std::move(options)) |
                   transactional_handler([this, inner = std::move(inner)](text_request const& request,
                                                                          transactional_rows& transaction,
                                                                          idempo::execution& execution) {
                       ++runs;
                       return inner(request, transaction, execution);
                   })) {}

    text_response send(std::string_view key) { return wrapped_(keyed_request(key)); }
    text_response send(text_request request) { return wrapped_(std::move(request)); }
    std::future<http::message_generator> send_async(text_request request) {
        return wrapped_(std::move(request), boost::asio::use_future);
    }
    std::future<http::message_generator> send_async(text_request request,
                                                    boost::asio::any_io_executor const& executor) {
        return wrapped_(std::move(request), boost::asio::bind_executor(executor, boost::asio::use_future));
    }
    text_response await(text_request request) { return read(send_async(std::move(request)).get()); }

    std::atomic<int> runs{0};

private:
    detail::background_thread thread_;
    transactional_middleware<transactional_handler> wrapped_;
};

}  // namespace idempo::tests
