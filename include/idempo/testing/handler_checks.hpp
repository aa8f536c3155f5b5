// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/handler.hpp>
#include <idempo/options.hpp>
#include <idempo/testing/effect_probe.hpp>
#include <idempo/testing/handler_report.hpp>
#include <idempo/testing/handler_trial.hpp>
#include <idempo/testing/simulated_process.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

/// \file
/// Whether a handler of your own keeps its part of the promise: `check_handler`. Needs no test framework.

namespace idempo::testing {

namespace detail {

/// What a clean run of the handler does.
struct clean_run {
    std::size_t effects = 0;
    /// Of `effect_probe::make`.
    std::size_t calls = 0;
    unsigned status = 0;
};

/// How a provider fails in a check.
[[noreturn]] inline void fail_provider(boost::asio::error::basic_errors how) {
    throw boost::system::system_error(make_error_code(how));
}

[[nodiscard]] inline std::string effects_in_words(std::size_t count) {
    return std::to_string(count) + (count == 1 ? " effect" : " effects");
}

/// What one trouble, at one effect, is called, and how a handler is repaired that makes the effect again.
struct handler_trouble {
    std::string happened;
    std::string_view repair;
};

/// The checks of one handler.
template <class Make, request Request>
class handler_examination {
    using trial = handler_trial<Make, Request>;
    using process = typename trial::process;

public:
    explicit handler_examination(handler_subject<Make, Request> const& subject) : subject_(subject) {}

    [[nodiscard]] handler_report examine() {
        add("answers one request", [this] { return answers_one_request(); });
        if (!report_.passed()) return std::move(report_);
        add("sent twice", [this] { return sent_twice(); });
        add("sent at once", [this] { return at_each_effect(&handler_examination::sent_at_once); });
        add("another key", [this] { return another_key(); });
        add("another caller", [this] { return another_caller(); });
        add("dies before an effect", [this] { return at_each_effect(&handler_examination::dies_before); });
        add("dies after an effect", [this] { return at_each_effect(&handler_examination::dies_after); });
        add("throws before an effect", [this] { return at_each_effect(&handler_examination::throws_before); });
        add("throws after an effect", [this] { return at_each_effect(&handler_examination::throws_after); });
        add("times out", [this] { return at_each_effect(&handler_examination::times_out); });
        add("loses its claim", [this] { return loses_its_claim(); });
        return std::move(report_);
    }

private:
    /// \param check returns the sentence; empty where the handler passes
    template <class Check>
    void add(std::string name, Check check) {
        std::string sentence;
        try {
            sentence = check();
        } catch (std::exception const& failure) {
            sentence = std::string("the check itself failed: ") + failure.what();
        }
        bool const passed = sentence.empty();
        report_.checks.push_back({std::move(name), passed, std::move(sentence)});
    }

    std::string at_each_effect(std::string (handler_examination::*check)(std::size_t) const) const {
        for (std::size_t at = 0; at < clean_.calls; ++at) {
            auto sentence = (this->*check)(at);
            if (!sentence.empty()) return sentence;
        }
        return {};
    }

    std::string answers_one_request() {
        trial const on(subject_);
        bool has_claim = false;
        process only(subject_.make, on.world(), subject_.options, {}, [&](execution& of) { has_claim = of.keyed(); });
        auto const answer = on.send(only);
        clean_ = {on.made(), only.probe().calls(), answer.status()};
        if (on.runs() == 0) return "The request was answered " + status_of(answer) + " and did not reach the handler.";
        if (!has_claim) return "The request is not protected: see options.methods and options.applies.";
        if (!answer.response)
            return "The handler does not answer: it throws, or takes longer than the test's patience.";
        if (!answer.is_success()) return "The request was answered " + status_of(answer) + ", which is no success.";
        if (clean_.effects == 0) return "The handler made no effect: call effect_probe::make where its provider works.";
        return {};
    }

    [[nodiscard]] std::string sent_twice() const {
        trial const on(subject_);
        auto const first = on.send_anew();
        auto const second = on.send_anew();
        if (on.runs() > 1) {
            return "The first answer, " + status_of(first) +
                   ", was not stored, and the retry ran the handler again. Do not call release() once the effect has "
                   "happened, and call keep() where the status alone would release.";
        }
        if (guards() || second.status() == first.status()) return {};
        return "The retry was answered " + status_of(second) + " instead of " + status_of(first) +
               ": the response cannot be stored. See options.max_response_body and options.unstorable.";
    }

    [[nodiscard]] std::string sent_at_once(std::size_t at) const {
        trial const on(subject_);
        process_answer rival;
        auto const send_rival = [&] { rival = on.send_anew(); };
        auto const first = on.send_anew({at, send_rival, {}});
        if (on.runs() == 1 && !rival.is_success()) return judge(on, first, {while_making(at), repeated});
        return "A request that came while " + effect_name(at) + " was being made was answered " + status_of(rival) +
               " and not 409: the handler answers before its effect, so a client is told of one that may never "
               "happen. Answer after it.";
    }

    [[nodiscard]] std::string another_key() const {
        trial const on(subject_);
        static_cast<void>(on.send_anew(subject_.options, "handler-check-1"));
        auto const other = on.send_anew(subject_.options, "handler-check-2");
        return judge_two(on, other, "Two requests with different keys");
    }

    [[nodiscard]] std::string another_caller() const {
        trial const on(subject_);
        auto elsewhere = subject_.options;
        elsewhere.key_namespace += "another caller";
        static_cast<void>(on.send_anew(subject_.options, "handler-check-1"));
        auto const other = on.send_anew(elsewhere, "handler-check-1");
        return judge_two(on, other, "Two callers who chose the same key");
    }

    [[nodiscard]] std::string dies_before(std::size_t at) const {
        trial const on(subject_);
        static_cast<void>(on.send_anew({at, [] { throw process_death{}; }, {}}));
        return judge(on, on.retry(), {"The process died before " + effect_name(at), taken_over});
    }

    [[nodiscard]] std::string dies_after(std::size_t at) const {
        trial const on(subject_);
        static_cast<void>(on.send_anew({at, {}, [] { throw process_death{}; }}));
        return judge(on, on.retry(), {"The process died after " + effect_name(at), taken_over});
    }

    [[nodiscard]] std::string throws_before(std::size_t at) const {
        trial const on(subject_);
        auto const refuse = [] { fail_provider(boost::asio::error::connection_refused); };
        auto const first = on.send_anew({at, refuse, {}});
        std::string const happened = "The provider refused before " + effect_name(at);
        if (first.is_success() && on.made() < clean_.effects) return untrue(happened, first, on);
        auto const last = on.retry();
        if (on.runs() == 1 && on.made() == 0 && is_kept_error(last)) {
            return happened + ", and the answer " + status_of(last) +
                   " was kept: no retry can succeed any more, though nothing has happened. Call keep() after the "
                   "effect, not before.";
        }
        return judge(on, last, {happened, repeated});
    }

    [[nodiscard]] std::string throws_after(std::size_t at) const {
        auto const reset = [] { fail_provider(boost::asio::error::connection_reset); };
        return fails_after(at, reset, "The connection to the provider broke after ");
    }

    [[nodiscard]] std::string times_out(std::size_t at) const {
        auto const time_out = [] { fail_provider(boost::asio::error::timed_out); };
        return fails_after(at, time_out, "The provider timed out after ");
    }

    [[nodiscard]] std::string fails_after(std::size_t at, std::function<void()> fail, std::string_view how) const {
        trial const on(subject_);
        auto const first = on.send_anew({at, {}, std::move(fail)});
        auto happened = std::string(how) + effect_name(at);
        happened += first.response ? ", the handler answered " + status_of(first) : ", the handler threw";
        return judge(on, on.retry(), {std::move(happened), in_doubt});
    }

    /// The claim is lost as the handler begins, and the handler can know it by `lost`.
    [[nodiscard]] std::string loses_its_claim() const {
        trial const on(subject_);
        auto const lose = [&](execution& of) {
            on.end_lease();
            static_cast<void>(on.send_anew());
            if (on.runs() > 1) of.watch(std::make_shared<std::atomic<bool>>(true));
        };
        static_cast<void>(on.send_anew({}, lose));
        return judge(on, on.retry(), {"The handler lost its claim before its effect, lost() was true", fenced});
    }

    /// Whether all requests together have made the effects of one.
    [[nodiscard]] std::string judge(trial const& on, process_answer const& last, handler_trouble const& trouble) const {
        if (on.made() > clean_.effects) {
            return trouble.happened + ", and there were " + effects_in_words(on.made()) + " instead of " +
                   std::to_string(clean_.effects) + keys_of(on) + ". " + std::string(trouble.repair);
        }
        if (last.is_success() && on.made() < clean_.effects) return untrue(trouble.happened, last, on);
        return {};
    }

    [[nodiscard]] std::string untrue(std::string const& happened, process_answer const& answer, trial const& on) const {
        return happened + ", and the client was answered " + status_of(answer) + " though there were only " +
               std::to_string(on.made()) + " of " + effects_in_words(clean_.effects) +
               ". Answer a success only where the effect is known to have happened: neither attempt() above 1 nor an "
               "exception says so.";
    }

    [[nodiscard]] std::string judge_two(trial const& on, process_answer const& other, std::string const& who) const {
        if (other.is_success() && on.made() == 2 * clean_.effects) return {};
        if (!other.is_success()) {
            return who + " do not have an effect each: the second was answered " + status_of(other) + '.';
        }
        return who + " were both answered a success, and there were " + effects_in_words(on.made()) + " instead of " +
               std::to_string(2 * clean_.effects) + keys_of(on) +
               ". Give the provider derived_key(), which differs by caller, key and request.";
    }

    [[nodiscard]] static std::string keys_of(trial const& on) {
        std::string text;
        for (auto const& key : on.world().effects->keys()) text += (text.empty() ? "" : ", ") + key;
        return text.empty() ? text : " (the provider was given " + text + ')';
    }

    [[nodiscard]] std::string effect_name(std::size_t at) const {
        if (clean_.calls == 1) return "its effect";
        return "effect " + std::to_string(at + 1) + " of " + std::to_string(clean_.calls);
    }
    [[nodiscard]] std::string while_making(std::size_t at) const {
        return "The same request came while " + effect_name(at) + " was being made";
    }

    [[nodiscard]] static std::string status_of(process_answer const& answer) {
        return answer.response ? std::to_string(answer.status()) : "nothing";
    }

    /// A stored answer that the options alone would not have kept.
    [[nodiscard]] bool is_kept_error(process_answer const& answer) const {
        auto const& options = subject_.options;
        if (answer.status() < 500 || (*answer.response)[options.replayed_header] != "true") return false;
        if (options.on_throw == on_throw::store_500 && answer.status() == 500) return false;
        return !(options.store_if ? options.store_if(answer.status()) : stored_by_default(answer.status()));
    }

    [[nodiscard]] bool guards() const noexcept { return subject_.options.on_duplicate == on_duplicate::reject; }

    static constexpr std::string_view repeated = "Make an effect once in each run.";
    static constexpr std::string_view taken_over =
        "Give the provider derived_key(), which is the same for each attempt; or, where attempt() is above 1, ask it "
        "what the earlier attempt has left. options::payments() holds such a key instead.";
    static constexpr std::string_view in_doubt =
        "Call keep() or unknown() where the effect may have happened, before an exception leaves the handler or an "
        "error is answered; or give the provider derived_key(), so that the retry is recognised there.";
    static constexpr std::string_view fenced =
        "Ask lost() right before each effect, or give the provider derived_key(): another attempt has answered for "
        "this request.";

    handler_subject<Make, Request> const& subject_;
    clean_run clean_;
    handler_report report_;
};

}  // namespace detail

/// Runs a handler through the middleware, with a memory store and a clock that the checks set, and reports which
/// promises it breaks: that one request has its effects once, and that a client who is told of an effect can rely on
/// it. The request is sent twice and at once; the process dies before and after each effect; the provider fails before
/// and after it and times out; the claim is lost to another server while the handler runs; and two keys and two callers
/// are told apart.
///
///     auto const report = idempo::testing::check_handler(
///         [](idempo::testing::effect_probe& effects) {
///             return [&effects](auto const& request, idempo::execution& execution) { … };
///         },
///         charge_request());
///     INFO(report);
///     CHECK(report.passed());
///
/// A process that dies is simulated: `effect_probe::make` throws `process_death`, and from then on neither store nor
/// probe takes notice of that process. What a handler changes elsewhere meanwhile is not undone, so let it have no
/// state outside itself and the probe. Coroutines and handlers with tokens run on one executor in this thread: let
/// their fake provider use it. An exception that leaves that executor is taken for the death of the process.
///
/// What no check can show: the time between asking `lost` and the effect. A pause of the process there is covered by
/// `derived_key` and a provider that obeys it, and by nothing else.
///
/// \param make called with an `effect_probe&` for each simulated process; returns a handler of any kind, which may keep
/// the reference
/// \param request without a key: the checks set `options.header`
/// \param options those of your service. `heartbeat`, `wait` and `previous` do not count here.
/// \param patience how long an answer may take, in real time
/// \throws std::invalid_argument if the options are invalid
template <class Make, request Request>
    requires std::invocable<Make const&, effect_probe&>
[[nodiscard]] handler_report check_handler(Make make, Request request, options options = {},
                                           std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    options.heartbeat = false;
    options.wait = std::chrono::milliseconds::zero();
    options.previous.clear();
    validate(options);
    handler_subject<Make, Request> const subject{std::move(make), std::move(request), std::move(options), patience};
    return detail::handler_examination<Make, Request>(subject).examine();
}

}  // namespace idempo::testing
