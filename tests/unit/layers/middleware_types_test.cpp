// SPDX-License-Identifier: MIT

// Which types of request, response and handler can be wrapped, and what comes out.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <idempo/layers/cors.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/offload.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/file_base.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/core/ostream.hpp>
#include <boost/beast/http/basic_dynamic_body.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/http/write.hpp>

#include <unistd.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
namespace asio = boost::asio;
namespace beast = boost::beast;

auto wrapping() { return idempo::idempotency(idempo::memory_store()); }

template <class Response>
struct answers {
    Response operator()(text_request const&) const;
};
template <class Response>
using answer_to = decltype(std::declval<idempo::middleware<answers<Response>, idempo::memory_store>>()(text_request()));

static_assert(std::is_same_v<answer_to<http::response<http::string_body>>, http::response<http::string_body>>);
static_assert(std::is_same_v<answer_to<http::message_generator>, http::message_generator>);
static_assert(std::is_same_v<answer_to<http::response<http::file_body>>, http::message_generator>);
static_assert(std::is_same_v<answer_to<http::response<http::vector_body<char>>>, http::message_generator>);
static_assert(std::is_same_v<answer_to<http::response<http::dynamic_body>>, http::message_generator>);
static_assert(std::is_same_v<answer_to<http::response<http::empty_body>>, http::message_generator>);

/// An allocator with a state, as a server with arenas has one.
template <class T>
struct arena_allocator {
    using value_type = T;
    explicit arena_allocator(int arena) : number(arena) {}
    template <class U>
    arena_allocator(arena_allocator<U> const& other) : number(other.number) {}
    T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
    void deallocate(T* memory, std::size_t count) { std::allocator<T>().deallocate(memory, count); }
    template <class U>
    bool operator==(arena_allocator<U> const& other) const {
        return number == other.number;
    }
    int number;
};

template <class Body, class Fields = http::fields>
http::request<Body, Fields> with_body(typename Body::value_type body, Fields fields = {}) {
    http::request<Body, Fields> request(http::request_header<Fields>(std::move(fields)), std::move(body));
    request.method(http::verb::post);
    request.target("/charge");
    request.version(11);
    request.set("Idempotency-Key", "key-1");
    return request;
}

template <class Buffer>
Buffer buffer_of(std::string_view text) {
    Buffer buffer;
    beast::ostream(buffer) << text;
    return buffer;
}

/// One call by the one-argument call and a retry by future.
template <class Request>
void check_replays(Request const& request) {
    int runs = 0;
    auto const wrapped = wrapping() | [&](Request const&) { return answer_with(200, std::to_string(++runs)); };
    CHECK(wrapped(Request(request)).body() == "1");
    CHECK(is_replay(wrapped(Request(request))));
    asio::io_context context;
    auto again = wrapped(Request(request), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(is_replay(read(again.get())));
    CHECK(runs == 1);
}

/// A file that is gone when the test is.
class temporary_file {
public:
    explicit temporary_file(std::string const& content)
        : path_(std::filesystem::temp_directory_path() / ("idempo_types_" + std::to_string(::getpid()))) {
        std::ofstream(path_) << content;
    }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file() { std::filesystem::remove(path_); }

    [[nodiscard]] http::response<http::file_body> response() const {
        http::response<http::file_body> response(http::status::ok, 11);
        beast::error_code error;
        response.body().open(path_.c_str(), beast::file_mode::scan, error);
        REQUIRE_FALSE(error);
        response.set("X-File", "yes");
        response.prepare_payload();
        return response;
    }

private:
    std::filesystem::path path_;
};

/// First answer and replay of a handler that answers by `make`.
template <class Make>
std::pair<text_response, text_response> answer_twice(Make make, idempo::options options = {}) {
    auto const wrapped = idempo::idempotency(idempo::memory_store(), std::move(options)) |
                         [make](text_request const&) { return make(); };
    auto first = read(http::message_generator(wrapped(keyed_request())));
    return {std::move(first), read(http::message_generator(wrapped(keyed_request())))};
}

text_response answer_plainly(text_request&&) { return answer_with(200, "function"); }

struct tagging_layer : idempo::layer_base {
    explicit tagging_layer(std::string tag_) : tag(std::move(tag_)) {}

    /// Passes the execution on, so that it may stand inside the idempotency layer.
    template <class Handler>
    auto operator()(Handler handler) const {
        return [handler, mark = tag](auto&& request, idempo::execution& execution) {
            auto response =
                idempo::detail::invoke_handler(handler, std::forward<decltype(request)>(request), execution);
            response.body() += mark;
            return response;
        };
    }
    std::string tag;
};

/// As one outside the idempotency layer, where there is no execution yet.
struct counting_layer : idempo::layer_base {
    explicit counting_layer(int& count_) : count(&count_) {}
    template <class Handler>
    auto operator()(Handler handler) const {
        return [handler, counter = count](auto&& request) {
            ++*counter;
            return handler(std::forward<decltype(request)>(request));
        };
    }
    int* count;
};

}  // namespace

TEST_CASE("middleware: a request body of any type that is in memory", "[middleware]") {
    static char bytes[] = "bytes";
    SECTION("string") { check_replays(with_body<http::string_body>("bytes")); }
    SECTION("vector") { check_replays(with_body<http::vector_body<char>>({'b', 'y'})); }
    SECTION("span") { check_replays(with_body<http::span_body<char>>({bytes, 5})); }
    SECTION("multi_buffer") { check_replays(with_body<http::dynamic_body>(buffer_of<beast::multi_buffer>("bytes"))); }
    SECTION("flat_buffer") {
        using body = http::basic_dynamic_body<beast::flat_buffer>;
        check_replays(with_body<body>(buffer_of<beast::flat_buffer>("bytes")));
    }
    SECTION("empty") { check_replays(with_body<http::empty_body>({})); }
    SECTION("fields with an allocator of their own") {
        using arena_fields = http::basic_fields<arena_allocator<char>>;
        check_replays(with_body<http::string_body, arena_fields>("bytes", arena_fields(arena_allocator<char>(7))));
    }
}

TEST_CASE("middleware: the bytes of a body decide, not its type", "[middleware]") {
    int runs = 0;
    auto const wrapped = wrapping() | [&](auto&&) { return answer_with(200, std::to_string(++runs)); };
    CHECK(wrapped(with_body<http::string_body>("bytes")).body() == "1");
    CHECK(is_replay(wrapped(with_body<http::vector_body<char>>({'b', 'y', 't', 'e', 's'}))));
    CHECK(is_replay(wrapped(with_body<http::dynamic_body>(buffer_of<beast::multi_buffer>("bytes")))));
    CHECK(wrapped(with_body<http::empty_body>({})).result_int() == 422);
}

TEST_CASE("middleware: the handler gets the request as it came, moved where it was an rvalue", "[middleware]") {
    std::string seen;
    auto const wrapped = wrapping() | [&](text_request request) {
        seen = request.body() + std::string(request["X-Field"]);
        return answer_with(200);
    };
    auto request = keyed_request("key-1", "a body that is long enough to be on the heap");
    request.set("X-Field", "!");
    wrapped(request);
    CHECK(seen == request.body() + "!");
    request.set("Idempotency-Key", "key-2");
    auto const* const body = request.body().data();
    char const* moved = nullptr;
    auto const moving = wrapping() | [&](text_request&& taken) {
        moved = taken.body().data();
        return answer_with(200);
    };
    moving(std::move(request));
    CHECK(moved == body);
}

TEST_CASE("middleware: a response of any type", "[middleware]") {
    std::string const text(3000, 't');
    auto const check = [&](auto const& answers) {
        CHECK(answers.first.body() == text);
        CHECK_FALSE(is_replay(answers.first));
        CHECK(answers.second.body() == text);
        CHECK(is_replay(answers.second));
        CHECK(answers.second[http::field::content_length] == "3000");
    };
    SECTION("string") {
        check(answer_twice([&] { return answer_with(200, text); }));
    }
    SECTION("vector") {
        check(answer_twice([&] {
            http::response<http::vector_body<char>> response(http::status::ok, 11);
            response.body().assign(text.begin(), text.end());
            response.prepare_payload();
            return response;
        }));
    }
    SECTION("dynamic, chunked") {
        check(answer_twice([&] {
            http::response<http::dynamic_body> response(http::status::ok, 11);
            response.body() = buffer_of<beast::multi_buffer>(text);
            response.chunked(true);
            return response;
        }));
    }
    SECTION("file") {
        temporary_file const file(text);
        check(answer_twice([&] { return file.response(); }));
    }
    SECTION("message_generator") {
        check(answer_twice([&] { return http::message_generator(answer_with(200, text)); }));
    }
    SECTION("message_generator of a file") {
        temporary_file const file(text);
        check(answer_twice([&] { return http::message_generator(file.response()); }));
    }
}

TEST_CASE("middleware: an empty response is replayed as one", "[middleware]") {
    auto const answers = answer_twice([] {
        http::response<http::empty_body> response(http::status::no_content, 11);
        response.set("X-Empty", "yes");
        return response;
    });
    CHECK(answers.second.result_int() == 204);
    CHECK(answers.second["X-Empty"] == "yes");
}

TEST_CASE("middleware: a generator over the limit reaches the client whole and leaves a tombstone", "[middleware]") {
    idempo::options options;
    options.max_response_body = 1000;
    std::string const text(300'000, 't');
    temporary_file const file(text);
    SECTION("of a string") {
        auto const answers = answer_twice([&] { return http::message_generator(answer_with(200, text)); }, options);
        CHECK(answers.first.body() == text);
        CHECK(answers.second.result_int() == 409);
    }
    SECTION("of a file") {
        auto const answers = answer_twice([&] { return file.response(); }, options);
        CHECK(answers.first.body() == text);
        CHECK(answers.first["X-File"] == "yes");
        CHECK(answers.second.result_int() == 409);
        CHECK(answers.second.body().find("\"original_status\":200") != std::string::npos);
    }
}

TEST_CASE("middleware: a handler of any form", "[middleware]") {
    auto const check = [](auto const& wrapped) {
        auto const first = wrapped(keyed_request());
        CHECK(first.result_int() == 200);
        auto const again = wrapped(keyed_request());
        CHECK(is_replay(again));
        CHECK(again.body() == first.body());
    };
    SECTION("a function") { check(wrapping() | answer_plainly); }
    SECTION("a function pointer") { check(wrapping() | &answer_plainly); }
    SECTION("a lambda") {
        check(wrapping() | [](text_request const&) { return answer_with(200); });
    }
    SECTION("a mutable lambda") {
        check(wrapping() |
              [count = 0](text_request const&) mutable { return answer_with(200, std::to_string(++count)); });
    }
    SECTION("a generic lambda") {
        check(wrapping() | [](auto&& request) { return answer_with(200, request.body()); });
    }
    SECTION("a generic lambda that takes the execution") {
        check(wrapping() |
              [](auto&&, idempo::execution& execution) { return answer_with(200, std::string(execution.key())); });
    }
    SECTION("a lambda that takes anything") {
        check(wrapping() | [](auto&&... arguments) { return answer_with(200, std::to_string(sizeof...(arguments))); });
    }
    SECTION("std::function") { check(wrapping() | std::function<text_response(text_request&&)>(&answer_plainly)); }
    SECTION("bind_front") {
        auto const prefixed = [](std::string const& prefix, text_request const&) { return answer_with(200, prefix); };
        check(wrapping() | std::bind_front(prefixed, std::string("prefix")));
    }
    SECTION("one that can only be moved") {
        check(wrapping() | [owned = std::make_unique<std::string>("owned")](text_request const&) {
            return answer_with(200, *owned);
        });
    }
}

TEST_CASE("middleware: a generic lambda is never probed with a completion token", "[middleware]") {
    asio::io_context context;
    int arguments = 0;
    auto const wrapped = wrapping() | [&](auto&&... all) {
        arguments = sizeof...(all);
        return answer_with(200);
    };
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).result_int() == 200);
    CHECK(arguments == 2);
}

TEST_CASE("middleware: a call that nobody bound to an executor completes before it returns", "[middleware]") {
    auto const wrapped = wrapping() | answer_plainly;
    for (bool const again : {false, true}) {
        bool complete = false;
        wrapped(keyed_request(), [&](http::message_generator message) {
            complete = true;
            CHECK(is_replay(read(std::move(message))) == again);
        });
        CHECK(complete);
    }
}

TEST_CASE("middleware: waiting for another request needs an executor", "[middleware]") {
    idempo::options options;
    options.wait = std::chrono::seconds{1};
    auto const wrapped = idempo::idempotency(idempo::memory_store(), options) | answer_plainly;
    CHECK_THROWS_AS(wrapped(keyed_request(), [](http::message_generator) {}), std::logic_error);
    CHECK(wrapped(keyed_request()).result_int() == 200);
}

TEST_CASE("middleware: the leftmost layer sees the request first", "[middleware][layer]") {
    int seen = 0;
    auto const wrapped = counting_layer(seen) | wrapping() | tagging_layer("a") | tagging_layer("b") | answer_plainly;

    auto const handle = wrapped;
    CHECK(handle(keyed_request()).body() == "functionba");
    CHECK(handle(keyed_request()).body() == "functionba");
    CHECK(seen == 2);
}

TEST_CASE("middleware: layers can be put together before there is a handler", "[middleware][layer]") {
    int seen = 0;
    auto const stack = counting_layer(seen) | wrapping() | tagging_layer("a");
    auto const handle = stack | answer_plainly;
    auto const other = stack | [](text_request const&) { return answer_with(200, "other"); };
    CHECK(handle(keyed_request()).body() == "functiona");
    CHECK(is_replay(other(keyed_request())));  // one store: the same key is the same request
    CHECK(seen == 2);
}

TEST_CASE("middleware: an inner layer passes the execution on", "[middleware][layer]") {
    std::string key;
    auto const handle =
        wrapping() | tagging_layer("a") | tagging_layer("b") | [&](text_request const&, idempo::execution& execution) {
            key = execution.key();
            execution.release();
            return answer_with(200, "");
        };
    CHECK(handle(keyed_request("key-7")).body() == "ba");
    CHECK(key == "key-7");
    CHECK_FALSE(is_replay(handle(keyed_request("key-7"))));
}

TEST_CASE("middleware: stacked twice on one store, namespaces keep the layers apart", "[middleware][layer]") {
    idempo::memory_store const store;
    idempo::options outer;
    outer.key_namespace = "outer";
    idempo::options inner;
    inner.key_namespace = GENERATE("inner", "outer");
    auto const stacked = idempo::idempotency(store, outer) | idempo::idempotency(store, inner) | answer_plainly;

    bool const apart = inner.key_namespace != outer.key_namespace;
    CHECK(stacked(keyed_request()).result_int() == (apart ? 200 : 409));
    // The inner layer's 409 is not stored by the outer one.
    CHECK(is_replay(stacked(keyed_request())) == apart);
    CHECK(store.size() == (apart ? 2U : 0U));
}

TEST_CASE("middleware: stacked twice in the call with a token", "[middleware][layer]") {
    asio::io_context context;
    idempo::memory_store const store;
    idempo::options outer;
    outer.key_namespace = "outer";
    auto const stacked = idempo::idempotency(store, outer) | idempo::idempotency(store) |
                         [](text_request) -> asio::awaitable<text_response> {
        co_await asio::post(asio::use_awaitable);
        co_return answer_with(200);
    };
    for (bool const again : {false, true}) {
        auto answer = stacked(keyed_request(), asio::bind_executor(context, asio::use_future));
        context.run();
        context.restart();
        CHECK(is_replay(read(answer.get())) == again);
    }
    CHECK(store.size() == 2);
}

TEST_CASE("middleware: copies share one state", "[middleware]") {
    int runs = 0;
    auto const one = wrapping() | [&](text_request const&) { return answer_with(200, std::to_string(++runs)); };
    auto const other = one;
    CHECK(one(keyed_request()).body() == "1");
    CHECK(is_replay(other(keyed_request())));
}

TEST_CASE("middleware: options that make no sense are refused where it is made", "[middleware][options]") {
    idempo::options options;
    options.header = "";
    CHECK_THROWS_AS(idempo::idempotency(idempo::memory_store(), options), std::invalid_argument);
    using wrapped = idempo::middleware<decltype(&answer_plainly), idempo::memory_store>;
    CHECK_THROWS_AS(wrapped(&answer_plainly, idempo::memory_store(), options), std::invalid_argument);
}

TEST_CASE("middleware: an async handler may fail later than its call, by completing with the exception",
          "[middleware]") {
    asio::io_context context;
    bool fails = true;
    auto const wrapped = wrapping() | idempo::async_handler([&](text_request, auto&& token) {
                             asio::post(context, [&fails, handler = std::forward<decltype(token)>(token)]() mutable {
                                 if (std::exchange(fails, false)) {
                                     handler(std::make_exception_ptr(std::runtime_error("later")));
                                 } else {
                                     handler(http::message_generator(answer_with(200)));
                                 }
                             });
                         });
    for (unsigned const status : {500U, 200U}) {
        auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
        context.run();
        context.restart();
        CHECK(read(answer.get()).result_int() == status);
    }
}

TEST_CASE("middleware: an async handler may complete with a response or with a generator", "[middleware]") {
    auto const made = [] {
        auto response = answer_with(201, "charged");
        response.set("X-Charge", "ch_1");
        return response;
    };
    auto const response = idempo::async_handler([made](text_request, auto done) { done(made()); });
    auto const generator =
        idempo::async_handler([made](text_request, auto done) { done(http::message_generator(made())); });
    auto const first_and_replay = [](auto const& handle) {
        asio::io_context context;
        std::ostringstream written;
        for (int times = 0; times < 2; ++times) {
            auto answer = handle(keyed_request(), asio::bind_executor(context, asio::use_future));
            context.run();
            context.restart();
            written << read(answer.get());
        }
        return written.str();
    };
    auto const expected = first_and_replay(wrapping() | generator);
    CHECK(expected.find("X-Charge: ch_1") != std::string::npos);
    CHECK(expected.find("Idempotency-Replayed: true") != std::string::npos);
    CHECK(first_and_replay(wrapping() | response) == expected);
    auto const layer = idempo::cors({.origins = {"https://shop.example"}});
    CHECK(first_and_replay(layer | wrapping() | response) == first_and_replay(layer | wrapping() | generator));
    CHECK(first_and_replay(wrapping() | layer | response) == first_and_replay(wrapping() | layer | generator));
    CHECK(first_and_replay(layer | response) == first_and_replay(layer | generator));
}

TEST_CASE("middleware: an async handler may take the execution or not", "[middleware]") {
    asio::io_context context;
    auto const finish = [](auto&& token, std::string body) {
        return asio::async_initiate<decltype(token), void(http::message_generator)>(
            [](auto handler, text_response made) {
                auto const executor = asio::get_associated_executor(handler);
                asio::post(executor, asio::append(std::move(handler), http::message_generator(std::move(made))));
            },
            token, answer_with(200, std::move(body)));
    };
    auto const without = wrapping() | idempo::async_handler([finish](text_request, auto&& token) {
                             return finish(std::forward<decltype(token)>(token), "without");
                         });
    auto const with =
        wrapping() | idempo::async_handler([finish](text_request, idempo::execution& execution, auto&& token) {
            return finish(std::forward<decltype(token)>(token), std::string(execution.key()));
        });
    auto first = without(keyed_request(), asio::bind_executor(context, asio::use_future));
    auto second = with(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(first.get()).body() == "without");
    CHECK(read(second.get()).body() == "key-1");
}
