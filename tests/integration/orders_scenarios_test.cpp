// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/orders_scene.hpp"
#include "support/poll_until.hpp"
#include "support/rate_limit_fields.hpp"
#include "support/requests.hpp"
#include "support/server_process.hpp"

#include <nlohmann/json.hpp>

#include <pqxx/connection>
#include <pqxx/transaction>

#include <csignal>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

using namespace idempo::tests;

// What a client of the orders service meets, over HTTP, with Redis and PostgreSQL.

namespace {

nlohmann::json order_in(text_response const& answer) { return nlohmann::json::parse(answer.body()).at("order"); }

std::vector<std::string> with(std::vector<std::string> words, std::vector<std::string> const& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

}  // namespace

TEST_CASE("orders: a fresh order, its replay, and another one under its key") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);

    auto const fresh = scene.client.exchange(make_order("key-1"));
    CHECK(fresh.result_int() == 201);
    CHECK_FALSE(is_replay(fresh));
    auto const order = order_in(fresh);
    CHECK(order.size() == 6);
    CHECK(order["user_id"] == "ada");
    CHECK(order["item"] == "green tea");
    CHECK(order["amount"] == 2);
    CHECK(order["idempotency_key"] == "key-1");
    auto const id = order["id"].get<std::string>();
    CHECK(std::regex_match(id, std::regex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")));
    CHECK(std::regex_match(order["created_at"].get<std::string>(),
                           std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")));
    CHECK(fresh["Location"] == "/orders/" + id);

    auto const again = scene.client.exchange(make_order("key-1"));
    CHECK(again.result_int() == 201);
    CHECK(is_replay(again));
    CHECK(again.body() == fresh.body());

    CHECK(scene.client.exchange(make_order("key-1", order_of(3))).result_int() == 422);
    CHECK(stores.orders() == 1);

    CHECK(order_in(scene.client.get("/orders/" + id)) == order);
    auto const another = scene.client.exchange(make_order("key-2", order_of(3)));
    auto const list = nlohmann::json::parse(scene.client.get("/orders?limit=1").body()).at("orders");
    CHECK(list == nlohmann::json::array({order_in(another)}));
}

TEST_CASE("orders: an invalid order is refused, and its key may be used again") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    CHECK(scene.client.exchange(make_order("")).result_int() == 400);
    CHECK(scene.client.exchange(make_order("\"")).result_int() == 400);
    for (std::string const body :
         {"", "{", "[]", R"({"user_id":"ada","item":"tea"})", R"({"user_id":"ada","item":"tea","amount":0})",
          R"({"user_id":"ada","item":"tea","amount":-1})", R"({"user_id":"ada","item":"tea","amount":1.5})",
          R"({"user_id":"ada","item":"tea","amount":"1"})", R"({"user_id":"ada","item":"tea","amount":1e300})",
          R"({"user_id":"","item":"tea","amount":1})", R"({"user_id":"ada","item":"a\u0000b","amount":1})",
          R"({"user_id":7,"item":"tea","amount":1})", R"({"user_id":"ada","item":"tea","amount":2,"amount":3})",
          R"({"user_id":"ada","item":"tea","amount":1,"created_at":"x"})",
          R"({"user_id":"ada\u202eevil","item":"tea","amount":1})",
          R"({"user_id":"ada","item":"\u2066tea","amount":1})"}) {
        CAPTURE(body);
        auto const answer = scene.client.exchange(make_order("key", body));
        CHECK(answer.result_int() == 400);
        CHECK(answer["Content-Type"] == "application/problem+json");
    }
    CHECK(stores.orders() == 0);
    CHECK(scene.client.exchange(make_order("key")).result_int() == 201);
    auto const other_script = R"({"user_id":"\u05d0\u05d3\u05d4","item":"\u201ctea\u201d","amount":1})";
    CHECK(scene.client.exchange(make_order("other-script", other_script)).result_int() == 201);

    CHECK(scene.client.get("/orders?limit=0").result_int() == 400);
    CHECK(scene.client.get("/orders?limit=1001").result_int() == 400);
    CHECK(scene.client.get("/orders?limit=x").result_int() == 400);
    CHECK(scene.client.get("/orders/1").result_int() == 404);
    CHECK(scene.client.get("/orders/00000000-0000-0000-0000-000000000000").result_int() == 404);
    CHECK(scene.client.get("/nothing").result_int() == 404);
    CHECK(scene.client.post("/healthz", "", "").result_int() == 405);
    auto too_large = make_order("large", std::string(100'000, ' '));
    CHECK(http_client(scene.server.port()).exchange(too_large).result_int() == 413);
}

TEST_CASE("orders: an unsigned request is 401, and claims nothing") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    auto const body = order_of(2);
    auto const missing = scene.client.post("/orders", "key", body);
    CHECK(missing.result_int() == 401);
    CHECK(missing["Content-Type"] == "application/problem+json");
    CHECK(missing.count("WWW-Authenticate") == 1);
    auto const right = signature_of("key", body);
    auto const post = [&](std::string const& key, std::string const& order, field_list const& fields) {
        return scene.client.post("/orders", key, order, fields).result_int();
    };
    CHECK(post("key", body, signature_of("key", body, "another secret")) == 401);
    CHECK(post("key", order_of(3), right) == 401);
    CHECK(post("another key", body, right) == 401);
    CHECK(post("key", body, {{"X-Timestamp", "1700000000"}, right[1]}) == 401);
    CHECK(post("key", body, {right[1]}) == 401);
    CHECK(post("key", body, {right[0], {"X-Signature", "?"}}) == 401);
    CHECK(stores.redis.ask({"DBSIZE"}) == "0");
    CHECK(stores.database.ask("SELECT count(*) FROM idempo_records") == "0");
    // The key is free for another body, since nobody has used it.
    auto const fresh = scene.client.exchange(make_order("key", order_of(3)));
    CHECK(fresh.result_int() == 201);
    CHECK_FALSE(is_replay(fresh));
}

TEST_CASE("orders: the eleventh request in a minute is 429, and is not remembered") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, with(mode, {"--rate-limit", "10"}));
    // Not counted, since whoever cannot sign must not use up what others have.
    CHECK(scene.client.post("/orders", "key", order_of(2)).result_int() == 401);
    for (int number = 1; number <= 10; ++number) {
        CAPTURE(number);
        auto const answer = scene.client.exchange(make_order("key-" + std::to_string(number)));
        CHECK(answer.result_int() == 201);
        CHECK(remaining_in(answer) == std::to_string(10 - number));
    }
    auto const eleventh = http_client(scene.server.port()).exchange(make_order("key-11"));
    CHECK(eleventh.result_int() == 429);
    CHECK(eleventh["Content-Type"] == "application/problem+json");
    CHECK(eleventh.count("Retry-After") == 1);
    CHECK(remaining_in(eleventh) == "0");
    CHECK(stores.orders() == 10);
    CHECK(scene.client.get("/orders").result_int() == 200);
    orders_scene other(stores, with(mode, {"--rate-limit", "10"}));
    auto const elsewhere = other.client.exchange(make_order("key-11"));
    bool const is_counted_in_redis = mode.empty();
    CHECK(elsewhere.result_int() == (is_counted_in_redis ? 429 : 201));
    CHECK_FALSE(is_replay(elsewhere));
}

TEST_CASE("orders: a second request while the first runs is 409") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    pqxx::connection to_database(stores.database.connection());
    pqxx::work lock(to_database);
    lock.exec("LOCK TABLE orders IN EXCLUSIVE MODE");

    scene.client.send(make_order("key"));
    http_client other(scene.server.port());
    poll_until([&] { return other.get("/metrics").body().find("idempo_handlers_running 1") != std::string::npos; });
    auto const early = other.exchange(make_order("key"));
    CHECK(early.result_int() == 409);
    CHECK(early["Retry-After"] == "1");
    lock.commit();

    CHECK(scene.client.receive().result_int() == 201);
    CHECK(is_replay(other.exchange(make_order("key"))));
    CHECK(stores.orders() == 1);
}

TEST_CASE("orders: when the records are forgotten, the order's row remembers") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    auto const forget = [&] {
        stores.redis.ask({"FLUSHALL"});
        stores.database.ask("DELETE FROM idempo_records");
    };
    auto const fresh = scene.client.exchange(make_order("key"));
    forget();
    auto const again = scene.client.exchange(make_order("key"));
    CHECK(again.result_int() == 201);
    CHECK(again.body() == fresh.body());
    CHECK_FALSE(is_replay(again));
    CHECK(is_replay(scene.client.exchange(make_order("key"))));

    forget();
    auto const other = scene.client.exchange(make_order("key", order_of(3)));
    CHECK(other.result_int() == 422);
    CHECK(other.body().find("Idempotency-Key is already used") != std::string::npos);
    // The refusal is not stored, or it would lock out the request that the key belongs to.
    CHECK(scene.client.exchange(make_order("key")).body() == fresh.body());
    CHECK(scene.client.exchange(make_order("key", order_of(3))).result_int() == 422);
    CHECK(stores.orders() == 1);
}

TEST_CASE("orders: the status of a mismatch can be chosen") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, with(mode, {"--mismatch-status", "409"}));
    CHECK(scene.client.exchange(make_order("key")).result_int() == 201);
    CHECK(scene.client.exchange(make_order("key", order_of(3))).result_int() == 409);
    stores.redis.ask({"FLUSHALL"});
    CHECK(scene.client.exchange(make_order("key", order_of(3))).result_int() == 409);
}

TEST_CASE("orders: metrics count what became of requests, and logs hold neither keys nor bodies nor secrets") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    scene.client.exchange(make_order("a-key-of-its-own", order_of(2, "bernadette")));
    scene.client.exchange(make_order("a-key-of-its-own", order_of(2, "bernadette")));
    scene.client.exchange(make_order("a-key-of-its-own", order_of(3, "bernadette")));

    auto const answer = scene.client.get("/metrics");
    CHECK(answer["Content-Type"] == "text/plain; version=0.0.4");
    for (std::string const line :
         {"idempo_events_total{event=\"executed\"} 1", "idempo_events_total{event=\"replayed\"} 1",
          "idempo_events_total{event=\"mismatch\"} 1", "idempo_events_total{event=\"not_persisted\"} 0",
          "orders_http_responses_total{status=\"201\"} 2", "orders_http_responses_total{status=\"422\"} 1",
          "idempo_handlers_running 0", "idempo_step_seconds_count{step=\"handler\"} 1",
          "idempo_step_seconds_count{step=\"claim\"} 3", "idempo_step_seconds_count{step=\"complete\"} 1"}) {
        CAPTURE(line);
        CHECK(answer.body().find(line + "\n") != std::string::npos);
    }

    auto const log = scene.server.errors();
    CHECK(log.find("\"outcome\":\"replayed\"") != std::string::npos);
    CHECK(log.find("\"route\":\"/orders\",\"status\":422") != std::string::npos);
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) CHECK(nlohmann::json::parse(line).contains("time"));
    for (std::string const secret : {"a-key-of-its-own", "bernadette", "green tea", orders_secret}) {
        CAPTURE(secret);
        CHECK(log.find(secret) == std::string::npos);
    }
}

TEST_CASE("orders: the ledger is sent live") {
    orders_stores const stores;
    orders_scene scene(stores);
    event_stream watcher(scene.server.port());
    watcher.read_until({"event: orders\ndata: []\n\n", "event: counters\ndata: {\"executed\":0,"});
    CHECK(watcher.seen().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
    CHECK(scene.client.exchange(make_order("key")).result_int() == 201);
    watcher.read_until({"\"idempotency_key\":\"key\"", "\"executed\":1"});
    scene.server.send_signal(SIGTERM);
    CHECK(scene.server.wait() == 0);
}

TEST_CASE("orders: the page is there, and asks for nothing from elsewhere") {
    orders_stores const stores;
    orders_scene scene(stores);
    for (std::string const path : {"/", "/page.js", "/style.css", "/icon.svg"}) {
        CAPTURE(path);
        auto const file = scene.client.get(path);
        CHECK(file.result_int() == 200);
        CHECK(file["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'none'");
        CHECK(file.body().find("https://") == std::string::npos);
    }
}

TEST_CASE("orders: an error at the start is one line and exit 2") {
    orders_stores const stores;
    auto const fails = [](std::vector<std::string> flags, std::string const& word) {
        CAPTURE(flags);
        server_process server(flags, orders_program());
        CHECK(server.wait() == 2);
        auto const errors = server.errors();
        CHECK(errors.starts_with("orders_server: "));
        CHECK(errors.find('\n') == errors.size() - 1);
        CHECK(errors.find(word) != std::string::npos);
        CHECK(server.output().empty());
    };
    set_orders_secret(nullptr);
    fails(stores.flags(), "ORDERS_HMAC_SECRET");
    set_orders_secret(orders_secret);
    fails({"--bogus"}, "--bogus");
    fails(stores.flags({"--address", "here"}), "--address");
    fails(stores.flags({"--mismatch-status", "200"}), "--mismatch-status");
    fails(stores.flags({"--rate-limit", "0"}), "--rate-limit");
    fails({"--database", stores.database_url(), "--redis", "redis://user:hunter2@"}, "redis");
    fails({"--database", "mysql://host"}, "URL");
    stores.database.ask("DROP TABLE orders");
    fails(stores.flags(), "--migrate");
    fails(stores.flags({"--transactional"}), "--migrate");
}
