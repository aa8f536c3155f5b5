// SPDX-License-Identifier: MIT

// The code blocks of docs/testing-your-handler.md. tests/snippets.cmake compares them.

#include <idempo/idempo.hpp>
#include <idempo/testing/handler_checks.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/system/system_error.hpp>

#include <string>

using namespace idempo::tests;

namespace {

//<open>handler-under-test
template <class Bank>
auto charge_handler(Bank& bank) {
    return [&bank](auto const& request) {
        http::response<http::string_body> response(http::status::created, request.version());
        try {
            bank.charge(request.body());
        } catch (boost::system::system_error const&) {
            response.result(http::status::bad_gateway);  // not stored: a retry runs the handler again
        }
        response.prepare_payload();
        return response;
    };
}
//<close>

//<open>handler-fake-bank
struct fake_bank {
    idempo::testing::effect_probe& effects;

    void charge(std::string const& /*what*/) { effects.make(); }
    void charge(std::string const& /*what*/, std::string const& key) { effects.make(key); }
};
//<close>

//<open>handler-repaired
template <class Bank>
auto repaired_handler(Bank& bank) {
    return [&bank](auto const& request, idempo::execution& execution) {
        http::response<http::string_body> response(http::status::created, request.version());
        try {
            bank.charge(request.body(), execution.derived_key("charge"));  // the bank knows a retry by it
        } catch (boost::system::system_error const&) {
            response.result(http::status::bad_gateway);
        }
        response.prepare_payload();
        return response;
    };
}
//<close>

}  // namespace

TEST_CASE("testing your handler: a charge that is repeated, and its repair", "[docs]") {
    auto const charge_request = unkeyed_request();
    //<open>handler-check
    auto const report = idempo::testing::check_handler(
        [](idempo::testing::effect_probe& effects) {
            return [bank = fake_bank{effects}](text_request const& request) mutable {
                return charge_handler(bank)(request);
            };
        },
        charge_request);
    INFO(report);
    //<close>
    CHECK(report.failures() ==
          "dies after an effect: The process died after its effect, and there were 2 effects instead of 1. Give the "
          "provider derived_key(), which is the same for each attempt; or, where attempt() is above 1, ask it what the "
          "earlier attempt has left. options::payments() holds such a key instead.\n"
          "throws after an effect: The connection to the provider broke after its effect, the handler answered 502, "
          "and there were 2 effects instead of 1. Call keep() or unknown() where the effect may have happened, before "
          "an exception leaves the handler or an error is answered; or give the provider derived_key(), so that the "
          "retry is recognised there.\n"
          "times out: The provider timed out after its effect, the handler answered 502, and there were 2 effects "
          "instead of 1. Call keep() or unknown() where the effect may have happened, before an exception leaves the "
          "handler or an error is answered; or give the provider derived_key(), so that the retry is recognised "
          "there.\n"
          "loses its claim: The handler lost its claim before its effect, lost() was true, and there were 2 effects "
          "instead of 1. Ask lost() right before each effect, or give the provider derived_key(): another attempt has "
          "answered for this request.\n");

    auto const repaired = idempo::testing::check_handler(
        [](idempo::testing::effect_probe& effects) {
            return [bank = fake_bank{effects}](text_request const& request, idempo::execution& execution) mutable {
                return repaired_handler(bank)(request, execution);
            };
        },
        charge_request);
    INFO(repaired);
    CHECK(repaired.passed());
}
