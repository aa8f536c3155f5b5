// SPDX-License-Identifier: MIT

// What the middleware adds to a call, in allocations. benchmarks/micro_bench.cpp measures the time.

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

// A sanitizer has operators of its own, which find more than these.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IDEMPO_TESTS_HAVE_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IDEMPO_TESTS_HAVE_SANITIZER
#endif
#endif

#ifndef IDEMPO_TESTS_HAVE_SANITIZER

namespace {

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

using namespace idempo::tests;

template <class Handle>
std::uint64_t allocations_of(Handle const& handle, text_request request) {
    auto const before = allocations;
    auto const answer = handle(std::move(request));
    static_cast<void>(answer);
    return allocations - before;
}

text_response plain(text_request&&) { return text_response{}; }
http::message_generator generated(text_request&&) { return text_response{}; }

template <class Handler>
void check_nothing_is_added(Handler handler) {
    idempo::options options;
    options.applies = [](idempo::request_head const& head) { return head.target() != "/elsewhere"; };
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | handler;
    auto const own = allocations_of(handler, unkeyed_request());
    CHECK(allocations_of(handle, unkeyed_request()) == own);
    auto get = keyed_request();
    get.method(http::verb::get);
    CHECK(allocations_of(handle, get) == own);
    auto elsewhere = keyed_request();
    elsewhere.target("/elsewhere");
    CHECK(allocations_of(handle, elsewhere) == own);
}

}  // namespace

TEST_CASE("middleware: a request that is none of its business costs no allocation", "[middleware]") {
    SECTION("a response") { check_nothing_is_added(&plain); }
    SECTION("a generator") { check_nothing_is_added(&generated); }
}

TEST_CASE("middleware: a first request and a replay stay within their allocations", "[middleware]") {
    constexpr std::uint64_t max_for_first = 14;
    constexpr std::uint64_t max_for_replay = 4;
    auto const handle = idempo::idempotency(idempo::memory_store()) | &plain;
    auto const request = keyed_request("a-key-that-is-longer-than-a-short-string");
    auto const first = allocations_of(handle, request);
    auto const replay = allocations_of(handle, request);
    CHECK(is_replay(handle(text_request(request))));
    CAPTURE(first, replay);
    CHECK(first <= max_for_first);
    CHECK(replay <= max_for_replay);
}

TEST_CASE("middleware: a replay as a generator takes three allocations, however many fields it has", "[middleware]") {
    auto const handle = idempo::idempotency(idempo::memory_store()) | [](text_request&&) -> http::message_generator {
        text_response response;
        for (auto const* name : {"A", "B", "C", "D", "E", "F"}) response.set(name, "a value of some length");
        response.body() = "a body that is longer than a short string";
        return response;
    };
    auto const request = keyed_request("a-key-that-is-longer-than-a-short-string");
    allocations_of(handle, request);
    CHECK(is_replay(read(handle(text_request(request)))));
    CHECK(allocations_of(handle, request) == 3);  // the record, its head as text, the generator
}

#endif
