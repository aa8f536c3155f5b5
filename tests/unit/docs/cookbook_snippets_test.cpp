// The code blocks of docs/cookbook.md. tests/snippets.cmake compares them.

#include <idempo/execution.hpp>
#include <idempo/http/read_request.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/_experimental/test/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
using stream_type = beast::test::stream;

int executions = 0;

template <class Body, class Fields>
http::message_generator handle_request(std::string const&, http::request<Body, Fields>&& req) {
    ++executions;
    http::response<http::string_body> response{http::status::created, req.version()};
    response.keep_alive(req.keep_alive());
    response.body() = "execution " + std::to_string(executions);
    response.prepare_payload();
    return response;
}

std::string const doc_root = "/srv";

auto make_handle(idempo::memory_store const& store) {
    //[cookbook-wrap
    auto handle = idempo::idempotency(store) | [](auto&& req) { return handle_request(doc_root, std::move(req)); };
    //]
    return handle;
}

using handle_type = decltype(make_handle(idempo::memory_store()));

//[cookbook-sync
template <class Stream, class Handle>
void do_session(Stream& stream, Handle const& handle) {
    beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        beast::error_code ec;
        idempo::read_request(stream, buffer, parser, ec);  // was: http::read(stream, buffer, req, ec)
        if (ec) {
            if (auto answer = idempo::answer_read_error(ec)) http::write(stream, *answer, ec);
            return;
        }
        http::message_generator msg = handle(parser.release());  // was: handle_request(doc_root, std::move(req))
        keep_alive = msg.keep_alive();
        beast::write(stream, std::move(msg), ec);
        if (ec) return;
    }
}
//]

class session : public std::enable_shared_from_this<session> {
public:
    session(stream_type& stream, handle_type handle) : stream_(stream), handle_(std::move(handle)) {}

    void do_read() {
        idempo::async_read_request(stream_, buffer_, parser_.emplace(),
                                   beast::bind_front_handler(&session::on_read, shared_from_this()));
    }

private:
    //[cookbook-async
    void on_read(beast::error_code ec) {
        if (auto answer = idempo::answer_read_error(ec)) return send_response(std::move(*answer));
        if (ec) return;
        // was: send_response(handle_request(*doc_root_, std::move(req_)));
        handle_(parser_->release(),
                asio::bind_executor(stream_.get_executor(),
                                    beast::bind_front_handler(&session::send_response, shared_from_this())));
    }
    //]

    void send_response(http::message_generator msg) {
        bool const keep_alive = msg.keep_alive();
        beast::async_write(stream_, std::move(msg),
                           [self = shared_from_this(), keep_alive](beast::error_code ec, std::size_t) {
                               if (!ec && keep_alive) self->do_read();
                           });
    }

    stream_type& stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    handle_type handle_;
};

class queueing_session : public std::enable_shared_from_this<queueing_session> {
public:
    queueing_session(stream_type& stream, handle_type handle) : stream_(stream), handle_(std::move(handle)) {}

    void do_read() {
        idempo::async_read_request(stream_, buffer_, parser_.emplace(),
                                   beast::bind_front_handler(&queueing_session::on_read, shared_from_this()));
    }

private:
    //[cookbook-advanced
    void on_read(beast::error_code ec) {
        if (ec) return;
        // The check for an upgrade to WebSocket stays where it is: before the handle.
        handle_(parser_->release(),
                asio::bind_executor(stream_.get_executor(),
                                    beast::bind_front_handler(&queueing_session::on_answer, shared_from_this())));
    }

    void on_answer(http::message_generator msg) {
        queue_write(std::move(msg));                          // was: in on_read, with handle_request(...)
        if (response_queue_.size() < queue_limit) do_read();  // was: in on_read
    }
    //]

    void queue_write(http::message_generator msg) {
        response_queue_.push_back(std::move(msg));
        if (response_queue_.size() == 1) do_write();
    }

    void do_write() {
        beast::async_write(stream_, std::move(response_queue_.front()),
                           [self = shared_from_this()](beast::error_code ec, std::size_t) { self->on_write(ec); });
    }

    void on_write(beast::error_code ec) {
        if (ec) return;
        bool const was_full = response_queue_.size() == queue_limit;
        response_queue_.pop_front();
        if (was_full) do_read();
        if (!response_queue_.empty()) do_write();
    }

    static constexpr std::size_t queue_limit = 8;

    stream_type& stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    handle_type handle_;
    std::deque<http::message_generator> response_queue_;
};

//[cookbook-awaitable
template <class Stream, class Handle>
asio::awaitable<void> do_session_async(Stream& stream, Handle handle) {
    beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        co_await idempo::async_read_request(stream, buffer, parser, asio::use_awaitable);  // was: http::async_read
        auto req = parser.release();
        http::message_generator msg = co_await handle(std::move(req), asio::use_awaitable);  // was: handle_request
        keep_alive = msg.keep_alive();
        co_await beast::async_write(stream, std::move(msg), asio::use_awaitable);
    }
}
//]

//[cookbook-expect
template <class Stream, class Parser>
void read_head(Stream& stream, beast::flat_buffer& buffer, Parser& parser, beast::error_code& ec) {
    http::read_header(stream, buffer, parser, ec);
    if (ec || parser.get().version() < 11) return;
    if (!beast::iequals(parser.get()[http::field::expect], "100-continue")) return;
    http::write(stream, http::response<http::empty_body>(http::status::continue_, 11), ec);
}
//]

/// The same keyed request twice; the client asks for the connection to be closed after the second.
std::string two_tries() {
    auto const first = keyed_request("a");
    auto last = first;
    last.keep_alive(false);
    return bytes_of(text_request(first)) + bytes_of(std::move(last));
}

/// Two answers, the second of which is the replay of the first.
void check_answers(stream_type const& client) {
    auto const sent = std::string(client.str());
    auto const second = sent.find("HTTP/1.1", 1);
    REQUIRE(second != std::string::npos);
    CHECK(sent.find("Idempotency-Replayed") > second);
    CHECK(sent.find("execution 1", second) != std::string::npos);
    CHECK(executions == 1);
}

struct token_verifier {
    std::optional<std::string> subject_of(std::string_view field) const {
        if (field == "Bearer 1" || field == "Bearer 2") return "alice";
        return std::nullopt;
    }
};

}  // namespace

TEST_CASE("cookbook: each of Beast's sessions with the middleware", "[snippets]") {
    executions = 0;
    idempo::memory_store const store;
    asio::io_context context;
    stream_type stream(context, two_tries());
    auto client = beast::test::connect(stream);
    auto const handle = make_handle(store);
    SECTION("sync") { do_session(stream, handle); }
    SECTION("async") {
        std::make_shared<session>(stream, handle)->do_read();
        context.run();
    }
    SECTION("advanced") {
        stream.close_remote();
        std::make_shared<queueing_session>(stream, handle)->do_read();
        context.run();
    }
    SECTION("awaitable") {
        asio::co_spawn(context, do_session_async(stream, handle), asio::detached);
        context.run();
    }
    check_answers(client);
}

TEST_CASE("cookbook: a client that waits is told to go on, and its request is read", "[snippets]") {
    auto const version = GENERATE(as<std::string>(), "1.0", "1.1");
    asio::io_context context;
    stream_type stream(context,
                       "POST / HTTP/" + version + "\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello");
    auto const client = beast::test::connect(stream);
    beast::flat_buffer buffer;
    http::request_parser<http::string_body> parser;
    beast::error_code ec;
    read_head(stream, buffer, parser, ec);
    REQUIRE_FALSE(ec);
    CHECK(client.str() == (version == "1.1" ? "HTTP/1.1 100 Continue\r\n\r\n" : ""));
    idempo::read_request(stream, buffer, parser, ec);
    CHECK_FALSE(ec);
    CHECK(parser.get().body() == "hello");
}

TEST_CASE("cookbook: options for each endpoint", "[snippets]") {
    idempo::memory_store store;
    auto const pay = [](auto&& req) { return text_response{http::status::created, req.version()}; };
    auto const comment = pay;
    auto const read_only = pay;
    //[cookbook-endpoints
    using request = http::request<http::string_body>;
    auto const payments =
        idempo::idempotency(store, {.require_key = true, .key_namespace = "payments", .retention = 24h * 30}) | pay;
    auto const comments = idempo::idempotency(store, {.key_namespace = "comments", .retention = 1h}) | comment;
    auto const route = [=](request&& req) -> http::message_generator {
        if (req.target().starts_with("/payments")) return payments(std::move(req));
        if (req.target().starts_with("/comments")) return comments(std::move(req));
        return read_only(std::move(req));
    };
    //]
    auto post = keyed_request("a");
    post.target("/payments");
    CHECK_FALSE(is_replay(read(route(request(post)))));
    CHECK(is_replay(read(route(request(post)))));
    post.target("/comments");
    CHECK_FALSE(is_replay(read(route(request(post)))));
    post.erase("Idempotency-Key");
    CHECK(read(route(request(post))).result_int() == 201);
    post.target("/payments");
    CHECK(read(route(request(post))).result_int() == 400);
}

TEST_CASE("cookbook: the key belongs to who is verified", "[snippets]") {
    idempo::memory_store store;
    token_verifier verifier;
    auto const handler = [](auto&& req) { return text_response{http::status::created, req.version()}; };
    //[cookbook-principal
    idempo::options options{
        .scope = idempo::scope::principal([&](idempo::request_head const& head) {
            return verifier.subject_of(head.field("Authorization"));  // std::optional<std::string>
        }),
    };
    auto handle = idempo::idempotency(store, options) | handler;
    //]
    auto request = keyed_request("a");
    request.set("Authorization", "Bearer 1");
    CHECK_FALSE(is_replay(handle(request)));
    request.set("Authorization", "Bearer 2");  // a new token of the same user
    CHECK(is_replay(handle(request)));
    request.set("Authorization", "Bearer 3");
    CHECK(handle(request).result_int() == 403);
}

TEST_CASE("cookbook: beside an old guard", "[snippets]") {
    idempo::memory_store store;
    std::set<std::string> claimed{"old"};  // by an instance without the middleware
    auto const old_handler = [&](text_request&& req) {
        bool const is_new = claimed.insert(std::string(req["Idempotency-Key"])).second;
        return text_response{is_new ? http::status::created : http::status::conflict, req.version()};
    };
    //[cookbook-migration
    idempo::options options;
    // The old guard answers 409 for a key that an old instance has claimed; that must not be stored.
    options.store_if = [](unsigned status) { return status != 409 && idempo::stored_by_default(status); };
    auto handle = idempo::idempotency(store, options) | old_handler;  // with its SETNX still inside
    //]
    CHECK(handle(keyed_request("new")).result_int() == 201);
    CHECK(is_replay(handle(keyed_request("new"))));
    CHECK(handle(keyed_request("old")).result_int() == 409);
    claimed.clear();  // the old guard's expiry
    CHECK(handle(keyed_request("old")).result_int() == 201);
}
