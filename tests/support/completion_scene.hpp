// SPDX-License-Identifier: MIT
#pragma once

// A handler that ends in each way, and what came of one request to it: the completion is called once, and what goes
// over the wire is one whole answer.

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

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

/// The status line's number; 0 where nothing was sent.
inline int status_of(std::string const& bytes) { return bytes.empty() ? 0 : std::stoi(bytes.substr(9, 3)); }

inline void check_framing(std::string const& bytes, http::verb method) {
    auto const end_of_head = bytes.find("\r\n\r\n");
    auto const length = bytes.find("Content-Length: ");
    REQUIRE(end_of_head != std::string::npos);
    REQUIRE(length < end_of_head);
    auto const announced = std::stoul(bytes.substr(length + 16));
    CHECK(announced > 0);
    CHECK(bytes.size() - end_of_head - 4 == (method == http::verb::head ? 0 : announced));
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
        if (how == ending::cannot_be_serialised) {
            // A layer that adds fields comes to the fault before the session does, and can still answer.
            CHECK((bytes.empty() || status_of(bytes) == 500));
        } else {
            CHECK(status_of(bytes) == (how == ending::throws ? 500 : 201));
        }
        if (!bytes.empty()) check_framing(bytes, method);
    }
    if (method != http::verb::post) return;
    auto const runs = told.runs;
    call(told, handle, request);
    CHECK(told.completions + told.exceptions == 2);
    // Only a handler that throws says that nothing has happened.
    CHECK(told.runs - runs == (how == ending::throws ? 1 : 0));
}

inline std::vector<ending> const by_returning{ending::answers, ending::throws, ending::cannot_be_serialised};
inline std::vector<ending> const by_calling{ending::answers, ending::throws, ending::answers_then_throws,
                                            ending::answers_twice, ending::cannot_be_serialised};

}  // namespace idempo::tests
