// SPDX-License-Identifier: MIT
#include <idempo/testing/handler_checks.hpp>

#include <idempo/handler.hpp>
#include <idempo/options.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace idempo::tests;
namespace asio = boost::asio;
using idempo::execution;
using idempo::testing::check_handler;
using idempo::testing::effect_probe;
using idempo::testing::handler_report;

namespace {

text_response answer(http::status status = http::status::created) {
    text_response response(status, 11);
    response.body() = "charged";
    response.prepare_payload();
    return response;
}

/// The names of the failed checks, each followed by a semicolon.
std::string failed(handler_report const& report) {
    std::string names;
    for (auto const& check : report.checks) {
        CHECK(check.passed == check.sentence.empty());
        if (!check.passed) names += check.name + ';';
    }
    return names;
}

std::string sentence(handler_report const& report, std::string_view name) {
    auto const* const check = report.find(name);
    return check == nullptr ? "the check did not run" : check->sentence;
}

bool contains(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

template <class Make>
handler_report check(Make make, idempo::options options = {}) {
    auto report = check_handler(std::move(make), unkeyed_request(), std::move(options));
    UNSCOPED_INFO(report);
    return report;
}

/// Reports of a handler `charge(effects, execution)` that answers 201.
template <class Charge>
handler_report check_charge(Charge charge, idempo::options options = {}) {
    return check(
        [charge](effect_probe& effects) {
            return [&effects, charge](text_request const&, execution& of) {
                charge(effects, of);
                return answer();
            };
        },
        std::move(options));
}

/// The bank recognises a retry.
void charge_by_key(effect_probe& effects, execution& of) { effects.make(of.derived_key("charge")); }

asio::awaitable<void> wait_a_turn() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }

/// Calls `last` when that many turns of the executor have passed.
void after_turns(asio::any_io_executor const& executor, int turns, std::function<void()> last) {
    if (turns == 0) return last();
    asio::post(executor, [executor, turns, last = std::move(last)] { after_turns(executor, turns - 1, last); });
}

/// What a handler with a fencing token does: `work` a turn later, and then it completes.
template <class Token, class Work>
void work_later(Token token, Work work) {
    auto const executor = asio::get_associated_executor(token);
    asio::post(executor, [token = std::move(token), work = std::move(work)]() mutable {
        std::exception_ptr failure;
        try {
            work();
        } catch (std::exception const&) {
            failure = std::current_exception();
        }
        if (failure) return std::move(token)(failure);
        std::move(token)(http::message_generator(answer()));
    });
}

}  // namespace

TEST_CASE("handler checks: a handler that gives its provider derived keys passes all", "[testing]") {
    auto const report = check_charge(charge_by_key);
    CHECK(report.passed());
    CHECK(report.checks.size() == 11);
    CHECK(report.failures().empty());
}

TEST_CASE("handler checks: coroutines with derived keys pass all", "[testing]") {
    auto const report = check([](effect_probe& effects) {
        return [&effects](text_request, execution& of) -> asio::awaitable<text_response> {
            co_await wait_a_turn();
            charge_by_key(effects, of);
            co_await wait_a_turn();
            co_return answer();
        };
    });
    CHECK(report.passed());
}

TEST_CASE("handler checks: handlers with tokens and derived keys pass all", "[testing]") {
    auto const report = check([](effect_probe& effects) {
        return idempo::async_handler([&effects](text_request const&, execution& of, auto token) {
            work_later(std::move(token), [&effects, &of] { charge_by_key(effects, of); });
        });
    });
    CHECK(report.passed());
}

TEST_CASE("handler checks: steps with derived keys pass all, in a plain function and in a coroutine", "[testing]") {
    CHECK(check_charge([](effect_probe& effects, execution& of) {
              of.step("charge", [&](std::string const& key) { effects.make(key); });
              of.step("mail", [&](std::string const& key) { effects.make(key); });
          }).passed());
    CHECK(check([](effect_probe& effects) {
              return [&effects](text_request, execution& of) -> asio::awaitable<text_response> {
                  auto const charge = [&effects](std::string key) -> asio::awaitable<void> {
                      co_await wait_a_turn();
                      effects.make(key);
                  };
                  co_await of.step("charge", charge);
                  co_await of.step("mail", charge);
                  co_return answer();
              };
          }).passed());
}

TEST_CASE("handler checks: a handler without keys passes where payments() holds what is in doubt", "[testing]") {
    auto const account = [](idempo::request_head const&) { return std::optional<std::string>("account-1"); };
    auto const options = idempo::options::payments(account, [](idempo::event const&) {});
    CHECK(failed(check_charge([](effect_probe& effects, execution&) { effects.make(); }, options)).empty());
}

TEST_CASE("handler checks: no effect, no success, no claim, or no answer: the other checks do not run", "[testing]") {
    auto const none = check_charge([](effect_probe&, execution&) {});
    CHECK(failed(none) == "answers one request;");
    CHECK(contains(none.failures(), "made no effect"));
    CHECK(none.checks.size() == 1);

    auto const error = check([](effect_probe& effects) {
        return [&effects](text_request const&) {
            effects.make();
            return answer(http::status::payment_required);
        };
    });
    CHECK(contains(error.failures(), "answered 402, which is no success"));

    idempo::options elsewhere;
    elsewhere.methods = {http::verb::put};
    CHECK(contains(check_charge([](effect_probe& effects, execution&) { effects.make(); }, elsewhere).failures(),
                   "not protected"));

    auto const throwing = check_charge([](effect_probe&, execution&) { throw std::runtime_error("no"); });
    CHECK(contains(throwing.failures(), "does not answer"));
}

TEST_CASE("handler checks: a handler that never answers is not waited for longer than patience allows", "[testing]") {
    auto const make = [](effect_probe& effects) {
        return idempo::async_handler([&effects](text_request const&, execution&, auto) { effects.make(); });
    };
    auto const report = check_handler(make, unkeyed_request(), {}, std::chrono::milliseconds(20));
    CHECK(failed(report) == "answers one request;");
}

TEST_CASE("handler checks: sent twice fails where the effect's answer is released", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        charge_by_key(effects, of);
        of.release();
    });
    CHECK(failed(report) == "sent twice;");
    CHECK(contains(sentence(report, "sent twice"), "release()"));
}

TEST_CASE("handler checks: sent twice fails where the answer is too large to be stored", "[testing]") {
    idempo::options options;
    options.max_response_body = 3;
    auto const report = check_charge(charge_by_key, options);
    CHECK(contains(sentence(report, "sent twice"), "answered 409 instead of 201: the response cannot be stored"));
}

TEST_CASE("handler checks: sent at once fails where the handler answers before its effect", "[testing]") {
    auto const report = check([](effect_probe& effects) {
        return idempo::async_handler([&effects](text_request const&, execution& of, auto token) {
            auto const executor = asio::get_associated_executor(token);
            auto const key = of.derived_key("charge");
            asio::post(executor,
                       [token = std::move(token)]() mutable { std::move(token)(http::message_generator(answer())); });
            after_turns(executor, 10, [&effects, key] { effects.make(key); });
        });
    });
    CHECK(contains(failed(report), "sent at once;"));
    CHECK(contains(sentence(report, "sent at once"), "answers before its effect"));
    CHECK(contains(sentence(report, "dies before an effect"), "though there were only 0 of 1 effect"));
}

TEST_CASE("handler checks: another key fails where all requests give the provider one key", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution&) { effects.make("charge"); });
    CHECK(failed(report) == "another key;another caller;");
    CHECK(
        contains(sentence(report, "another key"), "there were 1 effect instead of 2 (the provider was given charge)"));
}

TEST_CASE("handler checks: another caller fails where the client's key goes to the provider", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) { effects.make(of.key()); });
    CHECK(failed(report) == "another caller;");
    CHECK(contains(sentence(report, "another caller"), "derived_key()"));
}

TEST_CASE("handler checks: dies before its effect fails where a second attempt is taken for an effect", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        if (of.attempt() == 1) charge_by_key(effects, of);
    });
    CHECK(failed(report) == "dies before an effect;");
    CHECK(contains(sentence(report, "dies before an effect"), "neither attempt() above 1"));
}

TEST_CASE("handler checks: dies after its effect fails where each attempt charges anew", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        if (of.lost()) return;
        of.keep();
        try {
            effects.make();
        } catch (boost::system::system_error const& failure) {
            if (failure.code() != asio::error::connection_refused) throw;
            of.release();  // nothing can have happened
            throw;
        }
    });
    CHECK(failed(report) == "dies after an effect;");
    CHECK(contains(sentence(report, "dies after an effect"), "there were 2 effects instead of 1"));
}

TEST_CASE("handler checks: keys that differ by attempt are named", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        if (!of.lost()) effects.make(of.derived_key("charge " + std::to_string(of.attempt())));
    });
    CHECK(failed(report) == "dies after an effect;");
    CHECK(contains(sentence(report, "dies after an effect"), "(the provider was given "));
}

TEST_CASE("handler checks: a step without a provider's key is repeated after a death", "[testing]") {
    auto const report = check_charge(
        [](effect_probe& effects, execution& of) { of.step("charge", [&](std::string const&) { effects.make(); }); });
    CHECK(contains(failed(report), "dies after an effect;"));
    CHECK_FALSE(contains(failed(report), "loses its claim;"));  // a step asks `lost` itself
}

TEST_CASE("handler checks: throws before its effect fails where a refusal is answered as a success", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        idempo::error_code error;
        effects.make(of.derived_key("charge"), error);
    });
    CHECK(failed(report) == "throws before an effect;");
    CHECK(contains(sentence(report, "throws before an effect"), "answered 201 though there were only 0 of 1 effect"));
}

TEST_CASE("handler checks: throws before its effect fails where keep() is said too early", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        of.keep();
        charge_by_key(effects, of);
    });
    CHECK(failed(report) == "throws before an effect;");
    CHECK(contains(sentence(report, "throws before an effect"), "no retry can succeed any more"));
}

TEST_CASE("handler checks: throws after its effect fails where keep() is missing", "[testing]") {
    // It says keep() after a time-out, and has not thought of a broken connection.
    auto const report = check_charge(
        [](effect_probe& effects, execution& of) {
            if (of.lost()) return;
            try {
                effects.make();
            } catch (boost::system::system_error const& failure) {
                if (failure.code() == asio::error::timed_out) of.keep();
                throw;
            }
        },
        [] {
            idempo::options held;
            held.on_takeover = idempo::on_takeover::hold;
            return held;
        }());
    CHECK(failed(report) == "throws after an effect;");
    CHECK(contains(sentence(report, "throws after an effect"), "Call keep() or unknown()"));
}

TEST_CASE("handler checks: times out fails where a 504 releases the claim", "[testing]") {
    idempo::options held;
    held.on_takeover = idempo::on_takeover::hold;
    held.on_throw = idempo::on_throw::hold;
    auto const make = [](effect_probe& effects) {
        return [&effects](text_request const&, execution& of) {
            if (of.lost()) return answer(http::status::conflict);
            idempo::error_code error;
            effects.make(error);
            if (error == asio::error::timed_out) return answer(http::status::gateway_timeout);
            if (error) throw boost::system::system_error(error);
            return answer();
        };
    };
    auto const report = check(make, held);
    CHECK(failed(report) == "times out;");
    CHECK(contains(sentence(report, "times out"), "the handler answered 504"));
}

TEST_CASE("handler checks: an unknown outcome that is parked passes after a time-out", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        try {
            charge_by_key(effects, of);
        } catch (boost::system::system_error const&) {
            of.unknown("the bank did not answer");
            throw;
        }
    });
    CHECK(report.passed());
}

TEST_CASE("handler checks: loses its claim fails where lost() is not asked", "[testing]") {
    auto const charge = [](bool asks) {
        return [asks](effect_probe& effects, execution& of) {
            if (asks && of.lost()) return;
            if (of.attempt() > 1 && effects.made() > 0) return;
            try {
                effects.make();
            } catch (boost::system::system_error const&) {
                if (effects.made() > 0) of.keep();
                throw;
            }
        };
    };
    CHECK(check_charge(charge(true)).passed());
    auto const report = check_charge(charge(false));
    CHECK(failed(report) == "loses its claim;");
    CHECK(contains(sentence(report, "loses its claim"), "Ask lost()"));
}

TEST_CASE("handler checks: of two effects, the one that is made again is named", "[testing]") {
    auto const report = check_charge([](effect_probe& effects, execution& of) {
        charge_by_key(effects, of);
        if (!of.lost()) effects.make();
    });
    CHECK(contains(sentence(report, "dies after an effect"), "The process died after effect 2 of 2"));
}

TEST_CASE("handler checks: coroutines and handlers with tokens fail as functions do", "[testing]") {
    auto const coroutine = check([](effect_probe& effects) {
        return [&effects](text_request, execution&) -> asio::awaitable<text_response> {
            co_await wait_a_turn();
            effects.make();
            co_await wait_a_turn();
            co_return answer();
        };
    });
    auto const with_token = check([](effect_probe& effects) {
        return idempo::async_handler([&effects](text_request const&, execution&, auto token) {
            work_later(std::move(token), [&effects] { effects.make(); });
        });
    });
    auto const function = check_charge([](effect_probe& effects, execution&) { effects.make(); });
    std::string const expected = "dies after an effect;throws after an effect;times out;loses its claim;";
    CHECK(failed(function) == expected);
    CHECK(failed(coroutine) == expected);
    CHECK(failed(with_token) == expected);
}

TEST_CASE("handler checks: an exception that leaves the executor is a death", "[testing]") {
    auto const report = check([](effect_probe& effects) {
        return idempo::async_handler([&effects](text_request const&, execution& of, auto token) {
            auto const executor = asio::get_associated_executor(token);
            asio::post(executor, [&effects, &of, token = std::move(token)]() mutable {
                charge_by_key(effects, of);  // throws where nobody catches
                std::move(token)(http::message_generator(answer()));
            });
        });
    });
    CHECK(report.passed());
}

TEST_CASE("handler checks: a report prints a line for each check", "[testing]") {
    std::ostringstream text;
    text << check_charge([](effect_probe& effects, execution&) { effects.make("charge"); });
    CHECK(contains(text.str(), "passed  sent twice\n"));
    CHECK(contains(text.str(), "FAILED  another key: Two requests with different keys"));
}

TEST_CASE("handler checks: options that are invalid are refused", "[testing]") {
    idempo::options options;
    options.lease = std::chrono::milliseconds(0);
    CHECK_THROWS_AS(check_charge(charge_by_key, options), std::invalid_argument);
}
