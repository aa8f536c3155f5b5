// SPDX-License-Identifier: MIT

// Every style of call, in every order of layers, for every way in which a handler can end: the completion is called
// once, and what goes over the wire is one whole answer.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
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

http::message_generator answer(scene& told, text_request const& request) {
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

auto cors() { return idempo::cors({.origins = {"https://shop.example"}}); }

auto limit() {
    return idempo::rate_limit(idempo::memory_rate_limiter({.limit = 10000, .window = std::chrono::hours(1)}),
                              {.client = idempo::client::field("Host")});
}

/// Calls with each order of the layers.
template <class Visit>
void in_every_order(Visit visit) {
    auto const ours = [] { return idempo::idempotency(idempo::memory_store()); };
    visit("idempotency", ours());
    visit("cors | rate_limit | idempotency", cors() | limit() | ours());
    visit("cors | idempotency | rate_limit", cors() | ours() | limit());
    visit("rate_limit | cors | idempotency", limit() | cors() | ours());
    visit("rate_limit | idempotency | cors", limit() | ours() | cors());
    visit("idempotency | cors | rate_limit", ours() | cors() | limit());
    visit("idempotency | rate_limit | cors", ours() | limit() | cors());
    visit("idempotency | idempotency", ours() | ours());
}

text_request request_of(http::verb method, std::string const& key) {
    auto request = keyed_request(key);
    request.method(method);
    request.set("Origin", "https://shop.example");
    return request;
}

/// What a session would send of it; where the generator throws, it has nothing more to send.
void complete(scene& told, http::message_generator message) {
    ++told.completions;
    try {
        told.sent.push_back(bytes_of(std::move(message)));
    } catch (std::runtime_error const&) {
        told.sent.emplace_back();
    }
}

/// A callback session, until nothing is left to do.
struct with_token {
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
    template <class Handle>
    void operator()(scene& told, Handle const& handle, text_request request) const {
        handle(std::move(request), [&told](http::message_generator message) { complete(told, std::move(message)); });
    }
};

/// A synchronous session.
struct with_one_argument {
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
int status_of(std::string const& bytes) { return bytes.empty() ? 0 : std::stoi(bytes.substr(9, 3)); }

void check_framing(std::string const& bytes, http::verb method) {
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
    bool const rethrows = std::is_same_v<Call, with_one_argument>;
    if (how == ending::throws) CHECK(told.exceptions == (rethrows ? 1 : 0));
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

template <class Call>
void check_all(Call call, auto make_handler, std::vector<ending> const& endings) {
    in_every_order([&](char const* name, auto const& layers) {
        scene told;
        auto const handle = layers | make_handler(told);
        for (auto const how : endings) {
            for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) {
                CAPTURE(name, static_cast<int>(how), method);
                check(told, call, handle, how, method);
            }
        }
    });
}

std::vector<ending> const by_returning{ending::answers, ending::throws, ending::cannot_be_serialised};
std::vector<ending> const by_calling{ending::answers, ending::throws, ending::answers_then_throws,
                                     ending::answers_twice, ending::cannot_be_serialised};

}  // namespace

TEST_CASE("completion: once in every order of layers, around functions", "[completion]") {
    auto const make = [](scene& told) { return plain_handler{told}; };
    SECTION("the one-argument call") { check_all(with_one_argument(), make, by_returning); }
    SECTION("a token with an executor") { check_all(with_token(), make, by_returning); }
}

TEST_CASE("completion: once for a callback without an executor", "[completion]") {
    scene told;
    auto const handle = cors() | idempo::idempotency(idempo::memory_store()) | plain_handler{told};
    for (auto const how : by_returning) {
        for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) {
            check(told, with_bare_callback(), handle, how, method);
        }
    }
}

TEST_CASE("completion: what it throws leaves the call or the executor, and it is not called again", "[completion]") {
    struct gone : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    int completions = 0;
    auto const fail = [&completions](http::message_generator) {
        ++completions;
        throw gone("the peer has gone");
    };
    auto const check_thrown = [&](auto const& handle) {
        asio::io_context context;
        auto const send = [&] { handle(keyed_request(), asio::bind_executor(context, fail)); };
        asio::post(context, send);
        CHECK_THROWS_AS(context.run(), gone);
        CHECK_NOTHROW(context.run());
        CHECK(completions == 1);
    };
    scene told;
    auto const ours = idempo::idempotency(idempo::memory_store());
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);

    SECTION("a function") { check_thrown(ours | plain_handler{told}); }
    SECTION("a function behind a layer") { check_thrown(cors() | ours | plain_handler{told}); }
    SECTION("a handler with a token") { check_thrown(ours | idempo::async_handler(token_handler{told, suspends})); }
    SECTION("a handler with a token, behind a layer") {
        check_thrown(cors() | ours | idempo::async_handler(token_handler{told, suspends}));
    }
    SECTION("a coroutine") { check_thrown(ours | coroutine_handler{told, suspends}); }
    SECTION("a callback without an executor") {
        auto const handle = cors() | ours | plain_handler{told};
        CHECK_THROWS_AS(handle(keyed_request(), fail), gone);
        CHECK(completions == 1);
    }
    CHECK(told.runs == 1);
}

TEST_CASE("completion: once in every order of layers, around handlers with a token", "[completion]") {
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);
    check_all(
        with_token(),
        [&](scene& told) {
            return idempo::async_handler(token_handler{told, suspends});
        },
        by_calling);
}

TEST_CASE("completion: once in every order of layers, around coroutines", "[completion]") {
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);
    check_all(
        with_token(),
        [&](scene& told) {
            return coroutine_handler{told, suspends};
        },
        by_returning);
}
