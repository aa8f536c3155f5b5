// SPDX-License-Identifier: MIT

// The code blocks of docs/cookbook.md. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/coroutine.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

std::atomic<int> executions{0};

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

auto make_handle() {
    //[cookbook-wrap
#include <idempo/idempo.hpp>

    idempo::memory_store store;
    auto handle = idempo::idempotency(store) | [](auto&& req) { return handle_request(doc_root, std::move(req)); };
    //]
    return handle;
}

using handle_type = decltype(make_handle());

//[cookbook-sync
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

template <class Stream, class Handle>
void do_session(Stream& stream, Handle const& handle) {
    beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request<http::string_body> req;
        beast::error_code ec;
        idempo::read_request(stream, buffer, req, {.answer_expect = true},
                             ec);  // was: http::read(stream, buffer, req, ec)
        if (ec) {
            auto answer = idempo::answer_read_error(ec, req);
            if (answer) idempo::answer_and_close(stream, std::move(*answer), ec);
            return;
        }
        http::message_generator msg = handle(std::move(req));  // was: handle_request(doc_root, std::move(req))
        keep_alive = msg.keep_alive();
        beast::write(stream, std::move(msg), ec);
        if (ec) return;
    }
}
//]

class session : public std::enable_shared_from_this<session> {
public:
    session(tcp::socket socket, handle_type handle) : stream_(std::move(socket)), handle_(std::move(handle)) {}

    void run() { do_read(); }

private:
    //[cookbook-async
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

    void do_read() {
        stream_.expires_after(std::chrono::seconds(75));
        idempo::async_read_request(  // was: http::async_read
            stream_, buffer_, req_, {.answer_expect = true},
            beast::bind_front_handler(&session::on_read, shared_from_this()));
    }

    void on_read(beast::error_code ec, std::size_t) {
        if (ec) return refuse(ec);
        // was: send_response(handle_request(*doc_root_, std::move(req_)));
        handle_(std::move(req_),
                asio::bind_executor(stream_.get_executor(),
                                    beast::bind_front_handler(&session::send_response, shared_from_this())));
    }

    void refuse(beast::error_code ec) {
        auto answer = idempo::answer_read_error(ec, req_);
        if (!answer) return;
        idempo::async_answer_and_close(stream_, std::move(*answer), [self = shared_from_this()](beast::error_code) {});
    }
    //]

    void send_response(http::message_generator msg) {
        bool const keep_alive = msg.keep_alive();
        beast::async_write(stream_, std::move(msg),
                           [self = shared_from_this(), keep_alive](beast::error_code ec, std::size_t) {
                               if (!ec && keep_alive) self->do_read();
                           });
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{65536};
    http::request<http::string_body> req_;
    handle_type handle_;
};

//[cookbook-flex
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

template <class Derived>
class flex_session {
public:
    flex_session(beast::flat_buffer buffer, handle_type handle)
        : buffer_(std::move(buffer)),
          handle_(std::move(handle)) {}

    void do_read() {
        beast::get_lowest_layer(derived().stream()).expires_after(std::chrono::seconds(75));
        idempo::async_read_request(  // was: http::async_read
            derived().stream(), buffer_, req_, {.answer_expect = true},
            beast::bind_front_handler(&flex_session::on_read, derived().shared_from_this()));
    }

private:
    Derived& derived() { return static_cast<Derived&>(*this); }

    void on_read(beast::error_code ec, std::size_t) {
        if (ec) return refuse(ec);
        handle_(std::move(req_), asio::bind_executor(derived().stream().get_executor(),
                                                     beast::bind_front_handler(&flex_session::send_response,
                                                                               derived().shared_from_this())));
    }

    void refuse(beast::error_code ec) {
        auto answer = idempo::answer_read_error(ec, req_);
        if (!answer) return;
        idempo::async_answer_and_close(derived().stream(), std::move(*answer),
                                       [self = derived().shared_from_this()](beast::error_code) {});
    }
    //]

    void send_response(http::message_generator msg) {
        bool const keep_alive = msg.keep_alive();
        beast::async_write(derived().stream(), std::move(msg),
                           [self = derived().shared_from_this(), keep_alive](beast::error_code ec, std::size_t) {
                               if (!ec && keep_alive) self->do_read();
                           });
    }

    beast::flat_buffer buffer_;
    http::request<http::string_body> req_;
    handle_type handle_;
};

class plain_session : public flex_session<plain_session>, public std::enable_shared_from_this<plain_session> {
public:
    plain_session(tcp::socket socket, handle_type handle)
        : flex_session(beast::flat_buffer(65536), std::move(handle)),
          stream_(std::move(socket)) {}

    beast::tcp_stream& stream() { return stream_; }
    void run() { do_read(); }

private:
    beast::tcp_stream stream_;
};

/// Compiled, and not run: the handshake needs a certificate, and the session is that of the plain one.
class ssl_session : public flex_session<ssl_session>, public std::enable_shared_from_this<ssl_session> {
public:
    ssl_session(tcp::socket socket, asio::ssl::context& context, handle_type handle)
        : flex_session(beast::flat_buffer(65536), std::move(handle)),
          stream_(std::move(socket), context) {}

    beast::ssl_stream<beast::tcp_stream>& stream() { return stream_; }
    void run() { do_read(); }

private:
    beast::ssl_stream<beast::tcp_stream> stream_;
};

//[cookbook-stackless
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

class stackless_session : public asio::coroutine, public std::enable_shared_from_this<stackless_session> {
public:
    stackless_session(tcp::socket socket, handle_type handle)
        : stream_(std::move(socket)),
          handle_(std::move(handle)) {}

    void loop(beast::error_code ec, std::size_t) {
        auto next = beast::bind_front_handler(&stackless_session::loop, shared_from_this());
        auto answered = beast::bind_front_handler(&stackless_session::on_answer, shared_from_this());
        BOOST_ASIO_CORO_REENTER(*this) {
            do {
                stream_.expires_after(std::chrono::seconds(75));
                BOOST_ASIO_CORO_YIELD  // was: http::async_read
                    idempo::async_read_request(stream_, buffer_, req_, {.answer_expect = true}, std::move(next));
                if (ec) return refuse(ec);
                BOOST_ASIO_CORO_YIELD  // was: handle_request(*doc_root_, std::move(req_))
                    handle_(std::move(req_), asio::bind_executor(stream_.get_executor(), std::move(answered)));
                keep_alive_ = answer_->keep_alive();
                BOOST_ASIO_CORO_YIELD beast::async_write(stream_, std::move(*answer_), std::move(next));
                if (ec) return;
            } while (keep_alive_);
        }
    }

private:
    void on_answer(http::message_generator msg) {
        answer_.emplace(std::move(msg));
        loop({}, 0);
    }

    void refuse(beast::error_code ec) {
        auto refusal = idempo::answer_read_error(ec, req_);
        if (!refusal) return;
        idempo::async_answer_and_close(stream_, std::move(*refusal), [self = shared_from_this()](beast::error_code) {});
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{65536};
    http::request<http::string_body> req_;
    std::optional<http::message_generator> answer_;
    handle_type handle_;
    bool keep_alive_ = false;
};
//]

class queueing_session : public std::enable_shared_from_this<queueing_session> {
public:
    queueing_session(tcp::socket socket, handle_type handle) : stream_(std::move(socket)), handle_(std::move(handle)) {}

    void run() { do_read(); }

private:
    //[cookbook-advanced
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

    void do_read() {
        parser_.emplace();
        parser_->body_limit(10'000);
        stream_.expires_after(std::chrono::seconds(75));
        idempo::async_read_request(  // was: http::async_read. No answer_expect: another answer may be under way
            stream_, buffer_, *parser_, beast::bind_front_handler(&queueing_session::on_read, shared_from_this()));
    }

    void on_read(beast::error_code ec, std::size_t) {
        if (auto answer = idempo::answer_read_error(ec, parser_->get())) return queue_write(std::move(*answer));
        if (ec) return;
        // The check for an upgrade to WebSocket stays where it is: before the handle.
        handle_(parser_->release(),
                asio::bind_executor(stream_.get_executor(),
                                    beast::bind_front_handler(&queueing_session::on_answer, shared_from_this())));
    }

    void on_answer(http::message_generator msg) {
        is_last_ = !msg.keep_alive();
        queue_write(std::move(msg));                                       // was: in on_read, with handle_request(...)
        if (!is_last_ && response_queue_.size() < queue_limit) do_read();  // was: in on_read
    }

    void do_write() {
        bool const keep_alive = response_queue_.front().keep_alive();
        if (!keep_alive) return close();  // was: only behind the answer
        beast::async_write(stream_, std::move(response_queue_.front()),
                           beast::bind_front_handler(&queueing_session::on_write, shared_from_this()));
    }

    void close() {
        idempo::async_answer_and_close(stream_, std::move(response_queue_.front()),
                                       [self = shared_from_this()](beast::error_code) {});
    }
    //]

    void queue_write(http::message_generator msg) {
        response_queue_.push_back(std::move(msg));
        if (response_queue_.size() == 1) do_write();
    }

    void on_write(beast::error_code ec, std::size_t) {
        if (ec) return;
        bool const was_full = response_queue_.size() == queue_limit;
        response_queue_.pop_front();
        if (was_full && !is_last_) do_read();
        if (!response_queue_.empty()) do_write();
    }

    static constexpr std::size_t queue_limit = 8;

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{65536};
    std::optional<http::request_parser<http::string_body>> parser_;
    handle_type handle_;
    std::deque<http::message_generator> response_queue_;
    bool is_last_ = false;
};

//[cookbook-awaitable
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

template <class Stream, class Handle>
asio::awaitable<void> do_session_async(Stream stream, Handle handle) {
    beast::flat_buffer buffer(65536);
    idempo::read_options const reading{.answer_expect = true};
    for (bool keep_alive = true; keep_alive;) {
        http::request<http::string_body> req;
        beast::error_code ec;
        beast::get_lowest_layer(stream).expires_after(std::chrono::seconds(75));
        co_await idempo::async_read_request(  // was: http::async_read
            stream, buffer, req, reading, asio::redirect_error(asio::use_awaitable, ec));
        if (ec) {
            auto answer = idempo::answer_read_error(ec, req);
            if (answer) co_await idempo::async_answer_and_close(stream, std::move(*answer), asio::use_awaitable);
            co_return;
        }
        http::message_generator msg = co_await handle(std::move(req), asio::use_awaitable);  // was: handle_request
        keep_alive = msg.keep_alive();
        co_await beast::async_write(stream, std::move(msg), asio::use_awaitable);
    }
}
//]

//[cookbook-stackful
#include <idempo/http/answer_and_close.hpp>
#include <idempo/http/read_request.hpp>

template <class Stream, class Handle>
void do_session_stackful(Stream& stream, Handle const& handle, asio::yield_context yield) {
    beast::flat_buffer buffer(65536);
    for (bool keep_alive = true; keep_alive;) {
        http::request<http::string_body> req;
        beast::error_code ec;
        beast::get_lowest_layer(stream).expires_after(std::chrono::seconds(75));
        idempo::async_read_request(stream, buffer, req, {.answer_expect = true}, yield[ec]);  // was: http::async_read
        if (ec) {
            auto answer = idempo::answer_read_error(ec, req);
            if (answer) idempo::async_answer_and_close(stream, std::move(*answer), yield[ec]);
            return;
        }
        http::message_generator msg = handle(std::move(req), yield);  // was: handle_request(doc_root, std::move(req))
        keep_alive = msg.keep_alive();
        beast::async_write(stream, std::move(msg), yield[ec]);
        if (ec) return;
    }
}
//]

/// Compiled, and not called: Boost.Context, which stackful coroutines need, is no dependency of this project. The same
/// for what only differs in its stream.
[[maybe_unused]] void never_called(beast::tcp_stream& plain, beast::ssl_stream<beast::tcp_stream>& encrypted,
                                   asio::ssl::stream<tcp::socket>& blocking, handle_type const& handle,
                                   asio::yield_context yield) {
    do_session_stackful(plain, handle, yield);
    do_session_stackful(encrypted, handle, yield);
    do_session(blocking, handle);
    static_cast<void>(do_session_async(std::move(encrypted), handle));
    asio::ssl::context context(asio::ssl::context::tls_server);
    std::make_shared<ssl_session>(tcp::socket(plain.get_executor()), context, handle)->run();
}

/// Each of Beast's sessions: serves a connection until it ends, on the calling thread.
using serve_function = std::function<void(tcp::socket, asio::io_context&, handle_type)>;

template <class Session>
void run_session(tcp::socket socket, asio::io_context& context, handle_type handle) {
    std::make_shared<Session>(std::move(socket), std::move(handle))->run();
    context.run();
}

serve_function each_style() {
    auto const sync = [](tcp::socket socket, asio::io_context&, handle_type const& handle) {
        do_session(socket, handle);
    };
    auto const awaitable = [](tcp::socket socket, asio::io_context& context, handle_type handle) {
        beast::tcp_stream stream(std::move(socket));
        asio::co_spawn(context, do_session_async(std::move(stream), std::move(handle)), asio::detached);
        context.run();
    };
    auto const stackless = [](tcp::socket socket, asio::io_context& context, handle_type handle) {
        std::make_shared<stackless_session>(std::move(socket), std::move(handle))->loop({}, 0);
        context.run();
    };
    return GENERATE_COPY(values<serve_function>(
        {sync, awaitable, stackless, run_session<session>, run_session<plain_session>, run_session<queueing_session>}));
}

/// A connection through the loopback, served on a thread of its own.
class conversation {
public:
    conversation(serve_function const& serve, handle_type const& handle) {
        tcp::acceptor acceptor(context_, {asio::ip::address_v4::loopback(), 0});
        client_.connect(acceptor.local_endpoint());
        server_ = std::thread([serve, handle, this, socket = acceptor.accept()]() mutable {
            serve(std::move(socket), context_, handle);
        });
    }
    conversation(conversation const&) = delete;
    conversation& operator=(conversation const&) = delete;
    ~conversation() {
        if (client_.is_open()) client_.close();
        server_.join();
    }

    void send(std::string const& bytes) {
        beast::error_code ignored;  // the server may have stopped reading
        asio::write(client_, asio::buffer(bytes), ignored);
    }

    void reset() {
        client_.set_option(asio::socket_base::linger(true, 0));
        client_.close();
    }

    /// Until `text` has come, or the end.
    std::string read_until(std::string_view text) {
        std::string got;
        std::array<char, 4096> bytes{};
        beast::error_code ec;
        while (!ec && (text.empty() || got.find(text) == std::string::npos)) {
            auto const size = client_.read_some(asio::buffer(bytes), ec);
            got.append(bytes.data(), size);
        }
        return got;
    }
    std::string read_all() { return read_until({}); }

private:
    asio::io_context context_;
    tcp::socket client_{context_};
    std::thread server_;
};

/// The same keyed request twice; the client asks for the connection to be closed after the second.
std::string two_tries() {
    auto first = keyed_request("a");
    first.set("Host", "shop.example");
    auto last = first;
    last.keep_alive(false);
    return bytes_of(text_request(first)) + bytes_of(std::move(last));
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
    conversation talk(each_style(), make_handle());
    talk.send(two_tries());
    auto const sent = talk.read_all();
    auto const second = sent.find("HTTP/1.1", 1);
    REQUIRE(second != std::string::npos);
    CHECK(sent.find("Idempotency-Replayed") > second);
    CHECK(sent.find("execution 1", second) != std::string::npos);
    CHECK(executions == 1);
}

TEST_CASE("cookbook: each session survives clients that reset", "[snippets]") {
    executions = 0;
    auto const serve = each_style();
    auto const handle = make_handle();
    auto const request = two_tries();
    for (std::size_t const length : {std::size_t{0}, std::size_t{20}, request.size() / 2 + 10, request.size()}) {
        conversation talk(serve, handle);
        talk.send(request.substr(0, length));
        talk.reset();
    }
    conversation talk(serve, handle);
    talk.send(request);
    CHECK(talk.read_all().find("Idempotency-Replayed") != std::string::npos);
    CHECK(executions == 1);
}

TEST_CASE("cookbook: each session's refusal reaches a client that goes on sending", "[snippets]") {
    conversation talk(each_style(), make_handle());
    std::string const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n";
    talk.send(head + std::string(5'000'000, 'x'));
    CHECK(talk.read_all().starts_with("HTTP/1.1 413"));
}

TEST_CASE("cookbook: no session keeps an endless chunk extension", "[snippets]") {
    conversation talk(each_style(), make_handle());
    talk.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(1'000'000, 'x'));
    auto const answer = talk.read_all();
    CHECK(answer.starts_with("HTTP/1.1 4"));
}

TEST_CASE("cookbook: a page can read what the reader refuses", "[snippets]") {
    idempo::memory_store store;
    auto const handler = [](auto&& req) { return text_response{http::status::created, req.version()}; };
    beast::error_code const ec = http::error::body_limit;
    auto req = unkeyed_request();
    req.set("Origin", "https://shop.example");
    //[cookbook-cors
#include <idempo/layers/cors.hpp>

    auto const cors = idempo::cors({.origins = {"https://shop.example"}});
    auto const handle = cors | idempo::idempotency(store) | handler;
    // in the session, after a read error:
    auto answer = idempo::answer_read_error(ec, req);
    if (answer) cors.allow(req, *answer);
    //]
    REQUIRE(answer);
    CHECK((*answer)["Access-Control-Allow-Origin"] == "https://shop.example");
    CHECK(handle(req)["Access-Control-Allow-Origin"] == "https://shop.example");
}

TEST_CASE("cookbook: the session's own fields", "[snippets]") {
    bool const is_stopping = true;
    http::message_generator msg(text_response{http::status::created, 11});
    //[cookbook-outgoing
#include <idempo/http/outgoing.hpp>

    if (is_stopping) msg = idempo::with_connection_close(std::move(msg));
    msg = idempo::with_date(std::move(msg));
    //]
    CHECK_FALSE(msg.keep_alive());
    CHECK(read(std::move(msg)).count("Date") == 1);
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
