// SPDX-License-Identifier: MIT

// The time and the allocations that the middleware adds to one call. docs/benchmarks.md has results and the command.

#include <idempo/fingerprint.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include <benchmark/benchmark.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

// Of each thread its own: a shared counter would be most of what is measured.
thread_local std::uint64_t allocations = 0;

}  // namespace

// Not inlined: GCC 12 would see malloc and free through them, and warn of a mismatch with new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* const memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;
using generator = http::message_generator;

/// Counts the allocations of the timed loop.
class allocation_counter {
public:
    explicit allocation_counter(benchmark::State& state) : state_(state), before_(allocations) {}
    allocation_counter(allocation_counter const&) = delete;
    allocation_counter& operator=(allocation_counter const&) = delete;
    ~allocation_counter() {
        auto const made = static_cast<double>(allocations - before_);
        state_.counters["allocs"] = benchmark::Counter(made, benchmark::Counter::kAvgIterations);
    }

private:
    benchmark::State& state_;
    std::uint64_t before_;
};

/// A charge as a client sends it.
request make_request(std::string const& key) {
    request made{http::verb::post, "/v1/charges", 11};
    made.set(http::field::host, "api.example.com");
    made.set(http::field::user_agent, "benchmark");
    made.set(http::field::accept, "*/*");
    made.set(http::field::content_type, "application/json");
    made.set(http::field::authorization, "Bearer 0123456789abcdef0123456789abcdef");
    if (!key.empty()) made.set("Idempotency-Key", key);
    made.body() = R"({"amount":4200,"currency":"eur","source":"tok_visa"})";
    made.prepare_payload();
    return made;
}

response make_response(unsigned version) {
    response made{http::status::created, version};
    made.set(http::field::content_type, "application/json");
    made.set(http::field::location, "/v1/charges/ch_0123456789abcdef");
    made.body() = R"({"id":"ch_0123456789abcdef","amount":4200,"currency":"eur","status":"charged","attempt":1})";
    made.prepare_payload();
    return made;
}

template <class Reply>
Reply handle(request&& charge) {
    return make_response(charge.version());
}

/// What sending costs without a socket. A generator that was captured has been serialised already, so that the two
/// can only be compared with it.
void send(generator reply) {
    boost::system::error_code error;
    while (!reply.is_done()) {
        auto const buffers = reply.prepare(error);
        benchmark::DoNotOptimize(buffers.data());
        reply.consume(boost::beast::buffer_bytes(buffers));
    }
}

std::string const key = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"";

/// Building the request alone; the others build one too, so it is to be taken off.
void build_request(benchmark::State& state) {
    allocation_counter const counter(state);
    for (auto _ : state) {
        auto made = make_request(key);
        benchmark::DoNotOptimize(made);
    }
}

void build_request_without_key(benchmark::State& state) {
    allocation_counter const counter(state);
    for (auto _ : state) {
        auto made = make_request({});
        benchmark::DoNotOptimize(made);
    }
}

template <class Reply>
void bare_handler(benchmark::State& state) {
    auto const serve = [](request&& charge) { return handle<Reply>(std::move(charge)); };
    allocation_counter const counter(state);
    for (auto _ : state) {
        Reply reply = serve(make_request({}));
        benchmark::DoNotOptimize(reply);
    }
}

/// No key: the price for requests that do not use the library.
template <class Reply>
void passthrough(benchmark::State& state) {
    idempo::memory_store store;
    auto const serve = idempo::idempotency(store) | [](request&& charge) { return handle<Reply>(std::move(charge)); };
    allocation_counter const counter(state);
    for (auto _ : state) {
        Reply reply = serve(make_request({}));
        benchmark::DoNotOptimize(reply);
    }
}

template <class Reply>
void replay(benchmark::State& state) {
    idempo::memory_store store;
    auto const serve = idempo::idempotency(store) | [](request&& charge) { return handle<Reply>(std::move(charge)); };
    serve(make_request(key));
    allocation_counter const counter(state);
    for (auto _ : state) {
        Reply reply = serve(make_request(key));
        benchmark::DoNotOptimize(reply);
    }
}

/// New keys, as long as the other benchmarks' key is.
class key_series {
public:
    std::string const& next() {
        auto const digits = std::to_string(++number_ + 1'000'000'000);
        return key_.replace(1, digits.size(), digits);
    }

private:
    std::string key_ = key;
    std::uint64_t number_ = 0;
};

idempo::options with_digest_key() {
    idempo::options options;
    options.digest_keys = {"a secret of thirty-two bytes ..."};
    return options;
}

/// Every key is new. The store is as full as the iterations make it.
template <class Reply, bool HasSecret = false>
void first_request(benchmark::State& state) {
    idempo::memory_store store({.max_records = 100'000'000, .max_bytes = std::size_t{1} << 40});
    auto const serve = idempo::idempotency(store, HasSecret ? with_digest_key() : idempo::options()) |
                       [](request&& charge) { return handle<Reply>(std::move(charge)); };
    key_series keys;
    allocation_counter const counter(state);
    for (auto _ : state) {
        Reply reply = serve(make_request(keys.next()));
        benchmark::DoNotOptimize(reply);
    }
}

/// A coroutine handler that has its answer at once.
asio::awaitable<response> answer(request charge) { co_return make_response(charge.version()); }

/// Runs the loop in a coroutine, as a session does: each call is awaited.
template <class Call>
void await_each(benchmark::State& state, Call call) {
    asio::io_context context(1);
    allocation_counter const counter(state);
    auto loop = [&]() -> asio::awaitable<void> {
        for (auto _ : state) {
            auto reply = co_await call();
            benchmark::DoNotOptimize(reply);
        }
    };
    asio::co_spawn(context, loop, asio::detached);
    context.run();
}

void bare_awaitable(benchmark::State& state) {
    await_each(state, [] { return answer(make_request({})); });
}

void passthrough_awaitable(benchmark::State& state) {
    auto const serve = idempo::idempotency(idempo::memory_store()) | answer;
    await_each(state, [&] { return serve(make_request({}), asio::use_awaitable); });
}

void replay_awaitable(benchmark::State& state) {
    auto const serve = idempo::idempotency(idempo::memory_store()) | answer;
    await_each(state, [&] { return serve(make_request(key), asio::use_awaitable); });
}

void first_request_awaitable(benchmark::State& state) {
    idempo::memory_store store({.max_records = 100'000'000, .max_bytes = std::size_t{1} << 40});
    auto const serve = idempo::idempotency(store) | answer;
    key_series keys;
    await_each(state, [&] { return serve(make_request(keys.next()), asio::use_awaitable); });
}

void bare_handler_sent(benchmark::State& state) {
    allocation_counter const counter(state);
    for (auto _ : state) send(handle<generator>(make_request({})));
}

void first_request_sent(benchmark::State& state) {
    idempo::memory_store store({.max_records = 100'000'000, .max_bytes = std::size_t{1} << 40});
    auto const serve =
        idempo::idempotency(store) | [](request&& charge) { return handle<generator>(std::move(charge)); };
    key_series keys;
    allocation_counter const counter(state);
    for (auto _ : state) send(serve(make_request(keys.next())));
}

void fingerprint(benchmark::State& state) {
    auto charge = make_request(key);
    charge.body().assign(static_cast<std::size_t>(state.range(0)), 'x');
    idempo::fingerprint_rule const rule(idempo::same_request(), {"Authorization", "X-Api-Key"});
    allocation_counter const counter(state);
    for (auto _ : state) {
        auto made = rule(charge);
        benchmark::DoNotOptimize(made);
    }
}

/// Claims of keys that are completed, so that the store does not grow: what each replay asks. Each thread has keys of
/// its own: so few that all they touch stays in a core's cache, or so many that it does not. With one key, all have
/// that.
void memory_store_claim(benchmark::State& state) {
    static idempo::memory_store store;
    constexpr std::uint64_t keys = 65'536;
    if (state.thread_index() == 0) {
        for (std::uint64_t number = 0; number < keys; ++number) {
            idempo::error_code error;
            auto const id = idempo::make_store_key({}, {}, std::to_string(number));
            std::ignore = store.complete({id, {}, {}, idempo::shared_bytes("record"), std::chrono::hours{24}}, error);
        }
    }
    auto number = state.range(0) == 1 ? 0 : static_cast<std::uint64_t>(state.thread_index() * state.range(0));
    std::vector<idempo::claim_request> requests(static_cast<std::size_t>(state.range(0)));
    for (auto& claim : requests) {
        claim.key = idempo::make_store_key({}, {}, std::to_string(number++));
        claim.lease = claim.retention = std::chrono::hours{24};
    }
    std::size_t next = 0;
    allocation_counter const counter(state);
    for (auto _ : state) {
        idempo::error_code error;
        auto result = store.claim(requests[next++ % requests.size()], error);
        benchmark::DoNotOptimize(result);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

}  // namespace

BENCHMARK(build_request);
BENCHMARK(build_request_without_key);
BENCHMARK_TEMPLATE(bare_handler, response)->Name("bare_handler");
BENCHMARK_TEMPLATE(passthrough, response)->Name("passthrough");
BENCHMARK_TEMPLATE(replay, response)->Name("replay");
BENCHMARK_TEMPLATE(first_request, response)->Name("first_request");
BENCHMARK_TEMPLATE(first_request, response, true)->Name("first_request/digest_key");
BENCHMARK(bare_awaitable)->Name("bare_handler/awaitable");
BENCHMARK(passthrough_awaitable)->Name("passthrough/awaitable");
BENCHMARK(replay_awaitable)->Name("replay/awaitable");
BENCHMARK(first_request_awaitable)->Name("first_request/awaitable");
BENCHMARK_TEMPLATE(bare_handler, generator)->Name("bare_handler/message_generator");
BENCHMARK_TEMPLATE(passthrough, generator)->Name("passthrough/message_generator");
BENCHMARK_TEMPLATE(replay, generator)->Name("replay/message_generator");
BENCHMARK_TEMPLATE(first_request, generator)->Name("first_request/message_generator");
BENCHMARK(bare_handler_sent)->Name("bare_handler/message_generator/sent");
BENCHMARK(first_request_sent)->Name("first_request/message_generator/sent");
BENCHMARK(fingerprint)->Arg(64)->Arg(1024)->Arg(65536);
BENCHMARK(memory_store_claim)->Arg(1)->Arg(1024)->Arg(32768)->Threads(1)->Threads(2)->UseRealTime();

BENCHMARK_MAIN();
