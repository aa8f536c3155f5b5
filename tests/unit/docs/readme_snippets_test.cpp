// SPDX-License-Identifier: MIT

// The code blocks of README and docs, each between //[name and //]. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>

#include "support/catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/_experimental/test/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/http.hpp>

#include <memory>
#include <string>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using namespace std::chrono_literals;

int executions = 0;

template <class Body, class Fields>
http::message_generator handle_request(std::string const& doc_root, http::request<Body, Fields>&& req) {
    ++executions;
    http::response<http::string_body> response{http::status::created, req.version()};
    response.body() = doc_root + " " + std::to_string(executions);
    response.prepare_payload();
    return response;
}

http::request<http::string_body> charge() {
    http::request<http::string_body> request{http::verb::post, "/charge", 11};
    request.set("Idempotency-Key", "\"8e03978e\"");
    request.body() = "{}";
    request.prepare_payload();
    return request;
}

auto make_handle(idempo::memory_store const& store) {
    return idempo::idempotency(store) | [](auto&& req) { return handle_request("/srv", std::move(req)); };
}

class session : public std::enable_shared_from_this<session> {
public:
    explicit session(idempo::memory_store const& store) : handle(make_handle(store)) {}

    void on_read(http::request<http::string_body> req) {
        // clang-format off
        //[wrap-callback
        handle(std::move(req), asio::bind_executor(stream.get_executor(), beast::bind_front_handler(
                                                       &session::send_response, shared_from_this())));
        //]
        // clang-format on
    }

    void send_response(http::message_generator) { ++sent; }

    asio::io_context context;
    beast::test::stream stream{context};
    decltype(make_handle(idempo::memory_store())) handle;
    int sent = 0;
};

}  // namespace

TEST_CASE("snippets: the wrap, in each style of session", "[snippets]") {
    executions = 0;
    std::string const doc_root = "/srv";
    // The include is shown, and does nothing here: the header is included above.
    //[wrap
#include <idempo/idempo.hpp>

    idempo::memory_store store;  // or a redis_store, or a postgres_store
    auto handle = idempo::idempotency(store) | [&](auto&& req) { return handle_request(doc_root, std::move(req)); };
    //]

    asio::io_context context;
    beast::test::stream stream(context);
    auto peer = beast::test::connect(stream);
    {
        beast::error_code ec;
        auto req = charge();
        //[wrap-sync
        http::message_generator msg = handle(std::move(req));
        beast::write(stream, std::move(msg), ec);
        //]
        CHECK_FALSE(ec);
    }
    auto const callback_session = std::make_shared<session>(store);
    callback_session->on_read(charge());
    callback_session->context.run();
    CHECK(callback_session->sent == 1);

    bool replayed = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            auto req = charge();
            //[wrap-coroutine
            http::message_generator msg = co_await handle(std::move(req), asio::use_awaitable);
            //]
            replayed = msg.keep_alive();
        },
        asio::detached);
    context.run();
    CHECK(replayed);
    CHECK(executions == 1);
}

namespace {

struct bank_of_tests {
    struct outcome {
        bool uncertain;
    };
    outcome transfer(std::string const&, std::string const& key) {
        keys.push_back(key);
        return {keys.size() == 1};
    }
    std::vector<std::string> keys;
};

template <class Request>
http::response<http::string_body> respond(Request const& req, bank_of_tests::outcome outcome) {
    return {outcome.uncertain ? http::status::bad_gateway : http::status::created, req.version()};
}

std::optional<std::string> verified_user(idempo::request_head const&) { return "user-1"; }

}  // namespace

TEST_CASE("snippets: a handler that knows about its execution", "[snippets]") {
    idempo::memory_store store;
    bank_of_tests bank;
    //[execution
    auto handle = idempo::idempotency(store) | [&](auto&& req, idempo::execution& execution) {
        // The same in every attempt of this request, so that the bank recognises a repetition, too.
        auto const transfer = bank.transfer(req.body(), execution.derived_key("transfer"));
        if (transfer.uncertain) execution.keep();  // it may have happened: store the 502, never run again
        return respond(req, transfer);
    };
    //]
    CHECK(handle(charge()).result_int() == 502);
    CHECK(handle(charge()).result_int() == 502);
    CHECK(bank.keys.size() == 1);
}

TEST_CASE("snippets: options", "[snippets]") {
    idempo::memory_store store;
    auto const handler = [](http::request<http::string_body> req) {
        return http::response<http::string_body>{http::status::created, req.version()};
    };
    //[options
    idempo::options options{
        .require_key = true,
        .scope = idempo::scope::principal(verified_user),
        .lease = 10s,
        .retention = 48h,
        .wait = 2s,
    };
    auto handle = idempo::idempotency(store, options) | handler;
    //]
    CHECK(handle(charge()).result_int() == 201);
    CHECK(handle(charge()).count("Idempotency-Replayed") == 1);
}
