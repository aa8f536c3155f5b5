// SPDX-License-Identifier: MIT

// The driver of the transactional mode on a database that does what it is told to, in both styles.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/fake_transactions.hpp"
#include "support/requests.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

using handler = std::function<http::message_generator(text_request const&, fake_rows&, idempo::execution&)>;

text_response answer(unsigned status, std::string body = "done") {
    text_response response;
    response.result(status);
    response.body() = std::move(body);
    response.prepare_payload();
    return response;
}

/// A middleware over a database of its own, and what its observer was told.
struct scene {
    explicit scene(handler inner, idempo::options options = {}, std::function<bool(unsigned)> commit_if = {})
        : handle(fake_transactional(database, observed(std::move(options)), std::move(commit_if)) |
                 handler([this, inner = std::move(inner)](text_request const& request, fake_rows& rows,
                                                          idempo::execution& execution) {
                     ++runs;
                     rows.insert();
                     return inner(request, rows, execution);
                 })) {}

    /// Empty where the one-argument call threw.
    std::optional<text_response> send(text_request request) {
        if (is_async) return read(await(std::move(request)));
        try {
            return read(handle(std::move(request)));
        } catch (std::runtime_error const&) {
            return std::nullopt;
        }
    }

    http::message_generator await(text_request request) {
        auto sent = handle(std::move(request), asio::bind_executor(database->context, asio::use_future));
        database->context.restart();
        database->context.run();
        REQUIRE(sent.wait_for(0s) == std::future_status::ready);
        return sent.get();
    }

    [[nodiscard]] int told(idempo::event_type type) const {
        int count = 0;
        for (auto const& event : events) count += event.type == type ? 1 : 0;
        return count;
    }

    idempo::options observed(idempo::options options) {
        options.observer = [this](idempo::event const& event) { events.push_back(event); };
        return options;
    }

    bool is_async = false;
    int runs = 0;
    std::vector<idempo::event> events;
    std::shared_ptr<fake_database> database = std::make_shared<fake_database>();
    idempo::transactional_middleware<handler, fake_transactions> handle;
};

handler answering(unsigned status) {
    return [status](text_request const&, fake_rows&, idempo::execution&) { return answer(status); };
}

}  // namespace

TEST_CASE("transactional driver: an answer is committed with its record, and replayed", "[transactional]") {
    scene scene(answering(201));
    scene.is_async = GENERATE(false, true);
    auto const first = scene.send(keyed_request());
    REQUIRE(first);
    CHECK(first->result_int() == 201);
    CHECK_FALSE(is_replay(*first));
    CHECK(is_replay(*scene.send(keyed_request())));
    CHECK(scene.runs == 1);
    CHECK(scene.database->rows == 1);
    CHECK(scene.database->reserved == 0);
    CHECK(scene.told(idempo::event_type::executed) == 1);
    CHECK(scene.told(idempo::event_type::replayed) == 1);
}

TEST_CASE("transactional driver: an answer to HEAD never has a body", "[transactional]") {
    auto const fault = GENERATE("the handler throws", "the database is down", "a deadlock", "no thread");
    bool const is_keyed = GENERATE(false, true);
    CAPTURE(fault, is_keyed);
    idempo::options options;
    options.methods = {http::verb::head};
    scene scene(
        [&](text_request const&, fake_rows&, idempo::execution&) -> http::message_generator {
            if (fault == std::string("a deadlock")) throw fake_deadlock();
            throw std::runtime_error("the handler's own");
        },
        options);
    if (fault == std::string("the database is down")) {
        scene.database->begins_with = idempo::error::store_unavailable;
    }
    scene.database->has_threads = fault != std::string("no thread");
    auto request = is_keyed ? keyed_request() : unkeyed_request();
    request.method(http::verb::head);
    auto const bytes = bytes_of(scene.await(request));
    CHECK(bytes.substr(9, 3) == (fault == std::string("the handler throws") ? "500" : "503"));
    CHECK(bytes.ends_with("\r\n\r\n"));
    CHECK(bytes.find("Content-Length: 0") == std::string::npos);
    if (fault == std::string("the handler throws") || fault == std::string("no thread")) return;
    CHECK(bytes_of(scene.handle(request)).ends_with("\r\n\r\n"));
}

TEST_CASE("transactional driver: of the outcomes of COMMIT, each gets its answer", "[transactional]") {
    bool const is_async = GENERATE(false, true);
    CAPTURE(is_async);
    scene scene(answering(201));
    scene.is_async = is_async;
    auto const status_of = [&](text_request request) {
        auto const response = scene.send(std::move(request));
        return response ? response->result_int() : 0;
    };
    unsigned const thrown = is_async ? 500 : 0;

    SECTION("undone: 503, and a retry runs") {
        scene.database->next_end = fake_end::undone;
        CHECK(status_of(keyed_request()) == 503);
        scene.database->next_end = fake_end::undone;
        CHECK(status_of(unkeyed_request()) == 503);
        CHECK(scene.database->rows == 0);
        CHECK(status_of(keyed_request()) == 201);
        CHECK(scene.database->rows == 1);
    }
    SECTION("refused: as if the handler had thrown") {
        scene.database->next_end = fake_end::refused;
        CHECK(status_of(keyed_request()) == thrown);
        scene.database->next_end = fake_end::refused;
        CHECK(status_of(unkeyed_request()) == thrown);
        CHECK(scene.told(idempo::event_type::handler_threw) == 2);
        CHECK(scene.database->records.empty());
        CHECK(status_of(keyed_request()) == 201);
        CHECK(scene.database->rows == 1);
    }
    SECTION("in doubt: 503 where a retry will be told, else an error") {
        scene.database->next_end = fake_end::in_doubt;
        CHECK(status_of(keyed_request()) == 503);
        scene.database->next_end = fake_end::in_doubt;
        CHECK(status_of(unkeyed_request()) == thrown);
    }
    SECTION("overtaken by a request that is still in flight: 409") {
        scene.database->next_end = fake_end::overtaken;
        CHECK(status_of(keyed_request()) == 409);
        CHECK(scene.told(idempo::event_type::fenced) == 1);
        CHECK(scene.database->rows == 0);
    }
}

TEST_CASE("transactional driver: a commit that is refused may leave an answer, without the rows", "[transactional]") {
    idempo::options options;
    options.on_throw = idempo::on_throw::store_500;
    bool const keeps = GENERATE(false, true);
    scene scene(
        [&](text_request const&, fake_rows&, idempo::execution& execution) {
            if (keeps) execution.keep();
            return answer(201);
        },
        options);
    scene.database->next_end = fake_end::refused;
    CHECK_FALSE(scene.send(keyed_request()));
    CHECK(scene.database->rows == 0);
    auto const again = scene.send(keyed_request());
    REQUIRE(again);
    CHECK(again->result_int() == 500);
    CHECK(is_replay(*again));
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional driver: what becomes of rows and record", "[transactional]") {
    using verdict = idempo::execution::verdict;
    struct row {
        unsigned status;
        verdict said;
        int rows;
        bool is_stored;
    };
    auto const expected = GENERATE(row{201, verdict::by_policy, 1, true}, row{302, verdict::by_policy, 1, true},
                                   row{402, verdict::by_policy, 0, true}, row{429, verdict::by_policy, 0, false},
                                   row{500, verdict::by_policy, 0, false}, row{500, verdict::keep, 1, true},
                                   row{429, verdict::keep, 1, true}, row{201, verdict::release, 0, false},
                                   row{402, verdict::release, 0, false});
    bool const throws = GENERATE(false, true);
    bool const is_async = GENERATE(false, true);
    CAPTURE(expected.status, static_cast<int>(expected.said), throws, is_async);
    scene scene([&](text_request const&, fake_rows&, idempo::execution& execution) {
        if (expected.said == verdict::keep) execution.keep();
        if (expected.said == verdict::release) execution.release();
        if (throws) throw std::runtime_error("the handler's own");
        return answer(expected.status);
    });
    scene.is_async = is_async;
    bool const is_kept = throws ? expected.said == verdict::keep : expected.is_stored;
    int const rows = throws ? (expected.said == verdict::keep ? 1 : 0) : expected.rows;

    scene.send(unkeyed_request());
    CHECK(scene.database->rows == rows);
    CHECK(scene.told(idempo::event_type::step_began) == 0);
    scene.send(keyed_request());
    CHECK(scene.database->rows == 2 * rows);
    CHECK(scene.database->records.size() == (is_kept ? 1 : 0));
    scene.send(keyed_request());
    CHECK(scene.runs == (is_kept ? 2 : 3));
    CHECK(scene.told(idempo::event_type::handler_threw) == (throws ? scene.runs : 0));
    CHECK(scene.database->reserved == 0);
}

TEST_CASE("transactional driver: rows that are committed leave a record, whatever store_if says", "[transactional]") {
    idempo::options options;
    options.store_if = [](unsigned) { return false; };
    scene scene(answering(201), options);
    CHECK(scene.send(keyed_request())->result_int() == 201);
    CHECK(scene.send(keyed_request())->result_int() == 409);
    CHECK(scene.database->rows == 1);
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional driver: a commit_if that throws leaves the decision to the status", "[transactional]") {
    auto const status = GENERATE(201U, 402U);
    scene scene(answering(status), {}, [](unsigned) -> bool { throw std::runtime_error("no"); });
    CHECK(scene.send(keyed_request())->result_int() == status);
    CHECK(scene.database->rows == (status == 201 ? 1 : 0));
    CHECK(scene.told(idempo::event_type::handler_threw) == 1);
}

TEST_CASE("transactional driver: the fields of every answer", "[transactional]") {
    idempo::options options;
    options.echo_key = true;
    scene scene(
        [](text_request const&, fake_rows&, idempo::execution&) {
            auto response = answer(201);
            response.set("Idempotency-Replayed", "true");
            return response;
        },
        options);
    scene.is_async = GENERATE(false, true);
    auto const first = scene.send(keyed_request("\"k 1\""));
    CHECK((*first)["Idempotency-Key"] == "\"k 1\"");
    CHECK_FALSE(is_replay(*first));
    auto const again = scene.send(keyed_request("\"k 1\""));
    CHECK((*again)["Idempotency-Key"] == "\"k 1\"");
    CHECK(is_replay(*again));
    auto const other = scene.send(keyed_request("\"k 1\"", "another body"));
    CHECK(other->result_int() == 422);
    CHECK((*other)["x-should-retry"] == "false");
}

TEST_CASE("transactional driver: a writer of refusals sees the request, and may throw", "[transactional]") {
    idempo::options options;
    std::string target;
    options.write_problem = [&](auto&, auto const&, idempo::refusal_details const& details) {
        if (details.request) target = details.request->target();
        throw std::runtime_error("no");
    };
    scene scene(answering(201), options);
    scene.is_async = GENERATE(false, true);
    bool const is_keyed = GENERATE(false, true);
    scene.database->begins_with = idempo::error::store_unavailable;
    auto const response = scene.send(is_keyed ? keyed_request() : unkeyed_request());
    REQUIRE(response);
    CHECK(response->result_int() == 503);
    CHECK((*response)["Content-Type"] == "application/problem+json");
    CHECK(target == "/charge");
}

TEST_CASE("transactional driver: while draining, new keyed requests are refused", "[transactional]") {
    scene scene(answering(201));
    scene.is_async = GENERATE(false, true);
    CHECK(scene.send(keyed_request("before"))->keep_alive());
    scene.handle.begin_drain();
    auto const refused = scene.send(keyed_request("after"));
    CHECK(refused->result_int() == 503);
    CHECK_FALSE(refused->keep_alive());
    CHECK_FALSE(scene.send(unkeyed_request())->keep_alive());
    CHECK(scene.handle.drain(0ms));
    CHECK(scene.runs == 2);
}

TEST_CASE("transactional driver: what a layer further out is told", "[transactional]") {
    scene scene(answering(201));
    scene.is_async = GENERATE(false, true);
    idempo::memory_store store;
    auto const handle = idempo::idempotency(store) | scene.handle;
    auto const send = [&] {
        if (!scene.is_async) return handle(keyed_request());
        auto sent = handle(keyed_request(), asio::bind_executor(scene.database->context, asio::use_future));
        scene.database->context.restart();
        scene.database->context.run();
        return sent.get();
    };
    scene.database->begins_with = idempo::error::store_unavailable;
    CHECK(read(send()).result_int() == 503);
    scene.database->begins_with = {};
    scene.database->next_end = fake_end::overtaken;
    CHECK(read(send()).result_int() == 409);
    CHECK(read(send()).result_int() == 201);
    CHECK(is_replay(read(send())));
    CHECK(scene.database->rows == 1);
}

TEST_CASE("transactional driver: what throws in none of the steps is answered once", "[transactional]") {
    scene scene(answering(201));
    scene.database->in_claim = [] { throw std::runtime_error("no memory"); };
    CHECK(read(scene.await(keyed_request())).result_int() == 500);
    CHECK(scene.told(idempo::event_type::handler_threw) == 1);
    CHECK_THROWS_AS(scene.handle(keyed_request()), std::runtime_error);
    CHECK(scene.database->reserved == 0);
    CHECK(scene.handle.drain(0ms));
    scene.database->in_claim = nullptr;
    CHECK(scene.send(keyed_request())->result_int() == 201);
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional driver: a record under another identity is answered, and nothing is committed",
          "[transactional]") {
    idempo::options then;
    then.key_namespace = "old";
    idempo::options now;
    now.previous = {{.key_namespace = "old"}};
    scene scene(answering(201), now);
    scene.is_async = GENERATE(false, true);
    auto const old_release = fake_transactional(scene.database, then) | [](text_request&&, fake_rows& rows) {
        rows.insert();
        return answer(201, "of the old release");
    };
    old_release(keyed_request());
    auto const answered = scene.send(keyed_request());
    REQUIRE(answered);
    CHECK(answered->body() == "of the old release");
    CHECK(is_replay(*answered));
    CHECK(scene.send(keyed_request("key-1", "another"))->result_int() == 422);
    CHECK(scene.runs == 0);
    CHECK(scene.database->rows == 1);
    CHECK(scene.database->rolled_back == 2);
    CHECK(scene.database->reserved == 0);
    CHECK(scene.told(idempo::event_type::other_identity) == 2);

    CHECK(scene.send(keyed_request("key-2"))->result_int() == 201);
    auto const looks = scene.database->looks;
    CHECK(is_replay(*scene.send(keyed_request("key-2"))));
    CHECK(scene.database->looks == looks);
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional driver: where another identity cannot be looked at, nothing runs", "[transactional]") {
    idempo::options now;
    now.previous = {{.key_namespace = "old"}};
    scene scene(answering(201), now);
    scene.is_async = GENERATE(false, true);
    scene.database->look_fails_with = idempo::error::store_unavailable;
    CHECK(scene.send(keyed_request())->result_int() == 503);
    CHECK(scene.runs == 0);
    CHECK(scene.database->reserved == 0);
    scene.database->look_fails_with = {};
    CHECK(scene.send(keyed_request())->result_int() == 201);
}
