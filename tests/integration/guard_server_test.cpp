// SPDX-License-Identifier: MIT

// Guard mode over HTTP: examples/guard_server.cpp.

#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/server_process.hpp"

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace idempo::tests;

namespace {

/// The examples are built into a folder of their own, beside the tests.
std::string guard_server() {
    auto const servers = std::filesystem::path(IDEMPO_CHARGE_SERVER).parent_path();
    return (servers.parent_path().parent_path() / "examples" / "guard_server").string();
}

text_response pay(http_client& client, std::string_view key, std::string body) {
    field_list fields;
    if (!key.empty()) fields.emplace_back("X-Idempotency-Key", key);
    return client.post("/payments", "", std::move(body), fields);
}

constexpr char const* pay_42 = R"({"amount":42})";
constexpr char const* pay_43 = R"({"amount":43})";

}  // namespace

TEST_CASE("guard_server: a key that was processed is refused, whatever comes with it") {
    server_process const server({}, guard_server());
    http_client client(server.port());
    auto const first = pay(client, "a", pay_42);
    CHECK(first.result_int() == 201);
    CHECK(first.body().find(R"("key":"a")") != std::string::npos);  // the handler learns it
    for (auto const* body : {pay_42, pay_43, "no JSON"}) {
        auto const second = pay(client, "a", body);
        CHECK(second.result_int() == 409);
        CHECK(second["Content-Type"] == "application/problem+json");
        CHECK_FALSE(is_replay(second));
    }
    CHECK(client.get("/payments").body() == R"({"count":1})");
}

TEST_CASE("guard_server: only a success keeps the key, and there must be one of the right name") {
    server_process const server({}, guard_server());
    http_client client(server.port());
    CHECK(pay(client, "b", "no JSON").result_int() == 400);
    CHECK(pay(client, "b", pay_42).result_int() == 201);
    CHECK(pay(client, "b", pay_42).result_int() == 409);
    CHECK(pay(client, "", pay_42).result_int() == 400);
    CHECK(client.post("/payments", "c", pay_42).result_int() == 400);  // in Idempotency-Key
    CHECK(client.get("/payments").body() == R"({"count":1})");
}

TEST_CASE("guard_server: of many at once one is processed") {
    server_process const server({}, guard_server());
    std::atomic<int> created{0};
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 8; ++thread) {
        threads.emplace_back([&] {
            http_client client(server.port());
            for (int request = 0; request < 10; ++request) {
                auto const status = pay(client, "key-" + std::to_string(request), pay_42).result_int();
                if (status == 201) ++created;
                if (status == 409) ++refused;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(created == 10);
    CHECK(refused == 70);
}

TEST_CASE("guard_server: a HEAD has no body, and other methods are told which there are") {
    server_process const server({}, guard_server());
    http_client client(server.port());
    client.send_raw("HEAD /payments HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.receive_head().result_int() == 200);
    client.send_raw("DELETE /payments HTTP/1.1\r\nHost: a\r\n\r\n");
    auto const refused = client.receive();
    CHECK(refused.result_int() == 405);
    CHECK(refused["Allow"] == "POST, GET, HEAD");
}
