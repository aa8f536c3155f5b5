// SPDX-License-Identifier: MIT

// The code blocks of docs/layers.md, and of docs/options.md about guard mode. tests/snippets.cmake compares them.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using boost::asio::ip::tcp;

std::string const secret = "shared";

std::string signature_of(std::string_view body) {
    idempo::detail::hmac_key const key(secret);
    idempo::detail::hmac_sha256 mac(key);
    mac.update(body);
    auto const digest = mac.finish();
    return idempo::to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()});
}

text_request signed_order(std::string_view key) {
    auto request = keyed_request(key);
    request.set("X-Signature", signature_of(request.body()));
    return request;
}

struct vault_of_tests {
    std::vector<std::string> secrets_of(std::string_view id) const {
        return id == "alice" ? std::vector<std::string>{secret} : std::vector<std::string>();
    }
};

struct socket_of_tests {
    tcp::endpoint remote_endpoint(boost::system::error_code&) const {
        return {asio::ip::make_address("192.0.2.1"), 49152};
    }
};

}  // namespace

TEST_CASE("snippets: the layers in their order", "[snippets]") {
    idempo::memory_store store;
    auto handler = [](auto&& req) { return http::response<http::string_body>{http::status::created, req.version()}; };
    //[layers-stack
    // One secret: all who know it are one tenant.
    auto inner = idempo::idempotency(store, {.scope = idempo::scope::single_tenant()}) | handler;
    auto handle = idempo::cors({.origins = {"https://shop.example"}}) | idempo::hmac_auth({.secret = secret}) |
                  idempo::rate_limit(idempo::memory_rate_limiter({.limit = 10, .window = 1min})) | inner;
    //]
    socket_of_tests socket;
    auto req = signed_order("a");
    //[layers-peer
    auto const peer = idempo::peer_address(socket);  // once, when the connection begins
    // for each request:
    idempo::set_peer(req, peer);
    http::message_generator msg = handle(std::move(req));
    //]
    CHECK(read(std::move(msg)).result_int() == 201);
    CHECK(handle(signed_order("a")).result_int() == 403);
    CHECK(inner.drain(1s));
}

TEST_CASE("snippets: signatures of many clients", "[snippets]") {
    idempo::memory_store store;
    vault_of_tests vault;
    auto handler = [](auto&& req) { return http::response<http::string_body>{http::status::created, req.version()}; };
    //[layers-clients
    idempo::hmac_options signatures{
        .find_secrets = [&](idempo::request_head const& head) { return vault.secrets_of(head.field("X-Key-Id")); },
        .content = idempo::signed_content::method_target_and_body,
        .timestamp_header = "X-Timestamp",
        .tolerance = 2min,
    };
    idempo::options options{
        // hmac_auth has verified it: only who knows alice's secret gets here as alice.
        .scope = idempo::scope::principal([](auto const& head) { return std::string(head.field("X-Key-Id")); }),
    };
    auto handle = idempo::hmac_auth(signatures) | idempo::idempotency(store, options) | handler;
    //]
    auto const now = std::to_string(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
    auto req = keyed_request("a");
    req.set("X-Key-Id", "alice");
    req.set("X-Timestamp", now);
    req.set("X-Signature", signature_of(now + ".POST\n/charge\n" + req.body()));
    CHECK(handle(req).result_int() == 201);
    CHECK(is_replay(handle(req)));
    req.set("X-Key-Id", "bob");
    CHECK(handle(req).result_int() == 401);
}

TEST_CASE("snippets: guard mode", "[snippets]") {
    idempo::memory_store store;
    auto handler = [](auto&& req) { return http::response<http::string_body>{http::status::created, req.version()}; };
    //[guard
    idempo::options options{
        .header = "X-Idempotency-Key",
        .require_key = true,
        .on_duplicate = idempo::on_duplicate::reject,
    };
    auto handle = idempo::idempotency(store, options) | handler;
    //]
    auto request = unkeyed_request();
    request.set("X-Idempotency-Key", "a");
    CHECK(handle(request).result_int() == 201);
    CHECK(handle(request).result_int() == 409);
}
