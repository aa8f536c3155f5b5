// SPDX-License-Identifier: MIT
#pragma once

// A handler that ends in each way, and what came of one request to it: the completion is called once, and what goes
// over the wire is one whole answer.

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace idempo::tests {

namespace asio = boost::asio;

enum class ending { answers, throws, answers_then_throws, answers_twice, cannot_be_serialised };

/// A body whose bytes cannot be read.
struct broken_body {
    struct value_type {};

    struct writer {
        using const_buffers_type = asio::const_buffer;

        template <bool IsRequest, class Fields>
        writer(http::header<IsRequest, Fields> const&, value_type const&) {}

        static void init(boost::beast::error_code& ec) { ec.clear(); }
        [[noreturn]] static boost::optional<std::pair<const_buffers_type, bool>> get(boost::beast::error_code&) {
            throw std::runtime_error("the body is gone");
        }
    };
};

struct scene {
    ending how = ending::answers;
    int runs = 0;
    int completions = 0;
    int exceptions = 0;
    std::vector<std::string> sent;
};

inline http::message_generator answer(scene& told, text_request const& request) {
    ++told.runs;
    if (told.how == ending::throws) throw std::runtime_error("the handler's own");
    if (told.how == ending::cannot_be_serialised) {
        http::response<broken_body> response(http::status::created, request.version());
        response.chunked(true);
        return response;
    }
    text_response response(http::status::created, request.version());
    response.body() = "created by run " + std::to_string(told.runs);
    response.prepare_payload();
    if (request.method() == http::verb::head) response.body().clear();
    return response;
}

struct plain_handler {
    scene& told;
    http::message_generator operator()(text_request const& request) const { return answer(told, request); }
};

struct coroutine_handler {
    scene& told;
    bool suspends;
    asio::awaitable<http::message_generator> operator()(text_request request) const {
        if (suspends) co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return answer(told, request);
    }
};

struct token_handler {
    scene& told;
    bool suspends;
    template <class Token>
    void operator()(text_request const& request, Token done) const {
        if (!suspends) return finish(request, std::move(done));
        auto const executor = asio::get_associated_executor(done);
        asio::post(executor, [*this, request, done = std::move(done)]() mutable {
            try {
                finish(request, done);
            } catch (std::runtime_error const&) {
                done(std::current_exception());
            }
        });
    }

    template <class Token>
    void finish(text_request const& request, Token done) const {
        done(answer(told, request));
        if (told.how == ending::answers_twice) done(http::message_generator(text_response()));
        if (told.how == ending::answers_then_throws) throw std::runtime_error("a line of the log");
    }
};

inline text_request request_of(http::verb method, std::string const& key) {
    auto request = keyed_request(key);
    request.method(method);
    request.set("Origin", "https://shop.example");
    return request;
}

/// What a session would send of it; where the generator throws, it has nothing more to send.
inline void complete(scene& told, http::message_generator message) {
    ++told.completions;
    try {
        told.sent.push_back(bytes_of(std::move(message)));
    } catch (std::runtime_error const&) {
        told.sent.emplace_back();
    }
}

/// A callback session, until nothing is left to do.
struct with_token {
    static constexpr bool rethrows = false;

    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        asio::io_context context;
        handle(std::move(request), asio::bind_executor(context, [&told](http::message_generator message) {
                   complete(told, std::move(message));
               }));
        context.run();
    }
};

/// A callback that nobody bound to an executor: it is called before the call returns.
struct with_bare_callback {
    static constexpr bool rethrows = false;

    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        handle(std::move(request), [&told](http::message_generator message) { complete(told, std::move(message)); });
    }
};

/// A synchronous session.
struct with_one_argument {
    static constexpr bool rethrows = true;

    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        std::optional<http::message_generator> message;
        try {
            message.emplace(handle(std::move(request)));
        } catch (std::runtime_error const&) {
            ++told.exceptions;
        }
        if (message) complete(told, std::move(*message));
    }
};

/// What a client reads: one response that takes up all the bytes, so that the next one on the connection begins where
/// it should.
inline text_response read_by_client(std::string const& bytes, http::verb method) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.skip(method == http::verb::head);
    boost::beast::error_code ec;
    auto const used = parser.put(boost::asio::buffer(bytes), ec);
    REQUIRE_FALSE(ec);
    REQUIRE(parser.is_done());
    CHECK(used == bytes.size());
    return parser.release();
}

/// \param run whose answer it must be.
inline void check_answer(text_response const& response, ending how, http::verb method, int run) {
    auto const body = "created by run " + std::to_string(run);
    bool const is_refused = response.result_int() == 500;
    CHECK(response.result_int() == (how == ending::throws || how == ending::cannot_be_serialised ? 500 : 201));
    CHECK(response.body() == (method == http::verb::head ? "" : is_refused ? response.body() : body));
    CHECK(response.count("Content-Length") == 1);
    CHECK(response["Content-Length"] != "0");
    if (!is_refused) CHECK(response["Content-Length"] == std::to_string(body.size()));
}

/// Sends one request, and under a key a second time.
template <class Call, class Handle>
void check(scene& told, Call call, Handle const& handle, ending how, http::verb method) {
    static int number = 0;
    auto const request = request_of(method, "key-" + std::to_string(++number));
    told = scene();
    told.how = how;
    call(told, handle, request);
    CHECK(told.completions + told.exceptions == 1);
    if (how == ending::throws) CHECK(told.exceptions == (Call::rethrows ? 1 : 0));
    if (how != ending::throws && how != ending::cannot_be_serialised) CHECK(told.exceptions == 0);
    for (auto const& bytes : told.sent) {
        // A layer that adds fields comes to a body that cannot be read before the session does, and can still answer.
        if (bytes.empty()) CHECK(how == ending::cannot_be_serialised);
        if (!bytes.empty()) check_answer(read_by_client(bytes, method), how, method, 1);
    }
    if (method != http::verb::post) return;
    auto const runs = told.runs;
    auto const sent = told.sent.size();
    call(told, handle, request);
    CHECK(told.completions + told.exceptions == 2);
    // Only a handler that throws says that nothing has happened.
    CHECK(told.runs - runs == (how == ending::throws ? 1 : 0));
    if (how == ending::throws || how == ending::cannot_be_serialised || told.sent.size() == sent) return;
    auto const replay = read_by_client(told.sent.back(), method);
    check_answer(replay, how, method, 1);
    CHECK(replay["Idempotency-Replayed"] == "true");
}

inline std::vector<ending> const by_returning{ending::answers, ending::throws, ending::cannot_be_serialised};
inline std::vector<ending> const by_calling{ending::answers, ending::throws, ending::answers_then_throws,
                                            ending::answers_twice, ending::cannot_be_serialised};

}  // namespace idempo::tests
