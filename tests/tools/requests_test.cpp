// SPDX-License-Identifier: MIT

// The table of requests against the machine that decides: every report that it can get, in every order, within some
// repetitions of calls that fail.

#include "check_trace/request.hpp"

#include "support/catch.hpp"

#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/step_saving.hpp>
#include <idempo/observer.hpp>
#include <idempo/step.hpp>

#include <boost/asio/system_executor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace check_trace;
using namespace std::chrono_literals;
using idempo::error_code;
using idempo::detail::exchange;
using step_of = exchange::step;

thread_local exchange::time_point test_now{};
exchange::time_point now() { return test_now; }

/// Chooses between reports, so that run after run takes each way once.
class choices {
public:
    std::size_t one_of(std::size_t count) {
        if (depth_ == taken_.size()) taken_.push_back({0, count});
        return taken_[depth_++].first;
    }
    /// False where every way has been taken.
    bool next() {
        depth_ = 0;
        while (!taken_.empty() && taken_.back().first + 1 == taken_.back().second) taken_.pop_back();
        if (taken_.empty()) return false;
        ++taken_.back().first;
        return true;
    }

private:
    std::vector<std::pair<std::size_t, std::size_t>> taken_;
    std::size_t depth_ = 0;
};

/// Steps are kept at once, or another holds the record.
class keeper final : public idempo::detail::checkpoint {
public:
    [[nodiscard]] bool keeps_at_once() const noexcept override { return true; }
    [[nodiscard]] bool keep(idempo::detail::step_place, idempo::shared_bytes, error_code&) override { return is_kept; }
    void async_keep(idempo::detail::step_place, idempo::shared_bytes, saved_handler) override {}
    [[nodiscard]] boost::asio::any_io_executor executor() const override { return boost::asio::system_executor(); }

    bool is_kept = true;
};

idempo::shared_bytes some_record() {
    idempo::http::response<idempo::http::string_body> response;
    response.result(201);
    return idempo::make_record(response, {}).value();
}

struct comparison {
    std::set<std::pair<bits, request_event>> made;
    std::vector<std::string> forbidden;
    std::size_t ways = 0;
};

/// One request, reported to as a driver would, and its events as a trace would have them.
class driver {
public:
    driver(idempo::options options, exchange::claim_lifetime lifetime, bool has_others, choices& chosen,
           std::span<request_step const> table, comparison& result)
        : options_(std::move(options)),
          has_others_(has_others),
          chosen_(chosen),
          table_(table),
          result_(result) {
        options_.observer = [this](idempo::event const& told) { tell(told); };
        tested_.emplace(options_, lifetime, &now, true);
        tested_->provide(keeper_, true, true);
    }

    void run() {
        auto next = tested_->admit({1, "\"key\"", 0, false});
        for (unsigned count = 0; next != step_of::respond; ++count) {
            if (count >= 60) FAIL("it does not end");
            next = perform(next);
        }
        ++result_.ways;
    }

private:
    void tell(idempo::event const& told) {
        using idempo::event_type;
        bool const is_begin = told.type == event_type::step_began;
        bool const is_end = told.type == event_type::step_ended;
        if (!is_begin && !is_end) return note(subject::told, to_string(told.type));
        if (told.step == idempo::event_step::handler) note(subject::handler, is_begin ? "begun" : "ended");
        if (told.step == idempo::event_step::reconcile) note(subject::reconcile, is_begin ? "begun" : "ended");
    }

    /// \pre the token is that of the exchange's claim
    void note(subject what, std::string_view how) {
        auto const event = request_event_of(what, how);
        if (!event) return;
        auto const& token = tested_->claim().fencing_token;
        if (token == idempo::fencing_token{}) return;  // refused before there was one
        if (token != token_) stage_ = stage::fresh;
        token_ = token;
        result_.made.insert({stage_, *event});
        auto const next = next_stage(table_, stage_, *event);
        if (!next) {
            result_.forbidden.push_back(std::string(stage_name(stage_)) + ": " + std::string(to_string(what)) + ' ' +
                                        std::string(how));
        }
        stage_ = next.value_or(stage_);
    }

    step_of perform(step_of next) {
        switch (next) {
        case step_of::identify: return identify();
        case step_of::look: return look();
        case step_of::claim: return claim();
        case step_of::pause: return pause();
        case step_of::reconcile: return reconcile();
        case step_of::heartbeat: return tested_->beating(nullptr);
        case step_of::run: return handle();
        case step_of::capture: return capture();
        case step_of::complete: return complete();
        case step_of::renew: return tested_->renewed(maybe_failed());
        case step_of::park: return park();
        case step_of::take_back: return tested_->taken_back(maybe_failed());
        case step_of::abandon: return abandon();
        default: FAIL("not without a transaction"); return step_of::respond;
        }
    }

    static error_code failure() { return idempo::error::store_timed_out; }
    error_code maybe_failed() { return chosen_.one_of(2) == 0 ? error_code() : failure(); }

    step_of identify() {
        if (tested_->is_identified()) return tested_->identified_by_rule({{3}});
        idempo::detail::request_identity identity{.key = {{1}}, .compared = {{2}}, .asked = {{2}}};
        if (has_others_) identity.others = {{{{9}}, 0}};
        return tested_->identified(identity);
    }

    step_of look() {
        using idempo::record_state;
        auto const found = [&](record_state state, std::chrono::milliseconds lease = 1s) {
            idempo::record_info info;
            info.state = state;
            info.lease_remaining = lease;
            return tested_->looked({}, info);
        };
        switch (chosen_.one_of(6)) {
        case 0: return tested_->looked({}, std::nullopt);
        case 1: return tested_->looked(failure(), std::nullopt);
        case 2: return found(record_state::in_flight);
        case 3: return found(record_state::in_flight, -1s);
        case 4: return found(record_state::completed);
        default: return found(record_state::parked);
        }
    }

    step_of claim() {
        note(subject::claim, "begun");
        auto const answered = [&](std::string_view how, idempo::claim_result result) {
            note(subject::claim, how);
            return tested_->claimed({}, std::move(result));
        };
        switch (chosen_.one_of(11)) {
        case 0: return answered("granted", idempo::granted{1});
        case 1: return answered("granted", idempo::granted{2});
        case 2: return answered("in_flight", idempo::in_flight{1s});
        case 3: return answered("mismatch", idempo::mismatch{});
        case 4: return answered("completed", idempo::completed{some_record()});
        case 5: return answered("completed", idempo::completed{idempo::make_tombstone(500)});
        case 6: return answered("completed", idempo::completed{idempo::shared_bytes(std::string_view("no record"))});
        case 7: note(subject::claim, "error"); return tested_->claimed(failure(), {});
        case 8: note(subject::claim, "full"); return tested_->claimed(idempo::error::store_full, {});
        case 9: return answered("remembered", idempo::remembered{});
        default:
            // By what the claim asks for.
            if (!tested_->claim().take_over) return answered("expired", idempo::expired{1});
            if (!tested_->claim().take_parked) return answered("parked", idempo::parked{1, {}});
            return answered("granted", idempo::granted{3});
        }
    }

    step_of pause() {
        if (tested_->pause_is_cancellable() && chosen_.one_of(2) == 1) return tested_->pause_cancelled();
        test_now += 40s;  // past every deadline of the options: at most one repetition
        return tested_->paused();
    }

    step_of reconcile() {
        switch (chosen_.one_of(5)) {
        case 0: return tested_->reconciled(idempo::hold_claim{});
        case 1: return tested_->reconciled(idempo::run_again{});
        case 2:
            test_now += options_.lease;  // which may have ended
            return tested_->reconciled(idempo::run_again{});
        case 3: return tested_->reconcile_threw(std::make_exception_ptr(std::runtime_error("thrown")));
        default: return tested_->reconciled(idempo::http::response<idempo::http::string_body>{});
        }
    }

    step_of handle() {
        switch (chosen_.one_of(4)) {
        case 1: tested_->execution().keep(); break;
        case 2: tested_->execution().release(); break;
        case 3: tested_->execution().unknown("nobody knows"); break;
        default: break;
        }
        auto const thrown = std::make_exception_ptr(std::runtime_error("thrown"));
        switch (chosen_.one_of(6)) {
        case 0: return tested_->ran(201);
        case 1: return tested_->ran(503);
        case 2: return tested_->ran_unreadably(nullptr);
        case 3: return tested_->ran_unreadably(thrown);
        case 4: return handle_fenced();
        default: return tested_->threw(thrown);
        }
    }

    /// A step of the handler finds that another holds the record.
    step_of handle_fenced() {
        keeper_.is_kept = false;
        try {
            tested_->execution().step("step", [](std::string const&) { return std::string(); });
        } catch (...) {
            return tested_->threw(std::current_exception());
        }
        return tested_->ran(201);
    }

    step_of capture() {
        switch (chosen_.one_of(3)) {
        case 0: return tested_->captured(some_record());
        case 1: return tested_->captured(std::nullopt);
        default: return tested_->capture_threw(std::make_exception_ptr(std::runtime_error("thrown")));
        }
    }

    step_of complete() {
        note(subject::complete, "begun");
        auto const answered = [&](std::string_view how, idempo::complete_result result) {
            note(subject::complete, how);
            return tested_->completed({}, std::move(result));
        };
        switch (chosen_.one_of(7)) {
        case 0: return answered("done", idempo::done{});
        case 1: return answered("in_flight", idempo::in_flight{});
        case 2: return answered("mismatch", idempo::mismatch{});
        case 3: return answered("completed", idempo::completed{some_record()});
        case 4: return answered("completed", idempo::completed{idempo::shared_bytes(std::string_view("no record"))});
        case 5: note(subject::complete, "error"); return tested_->completed(failure(), {});
        default: note(subject::complete, "full"); return tested_->completed(idempo::error::store_full, {});
        }
    }

    step_of park() {
        note(subject::park, "begun");
        switch (chosen_.one_of(3)) {
        case 0: note(subject::park, "parked"); return tested_->parked({}, true);
        case 1: note(subject::park, "refused"); return tested_->parked({}, false);
        default: note(subject::park, "error"); return tested_->parked(failure(), false);
        }
    }

    step_of abandon() {
        note(subject::abandon, "begun");
        return tested_->abandoned(maybe_failed());
    }

    idempo::options options_;
    bool has_others_;
    choices& chosen_;
    std::span<request_step const> table_;
    comparison& result_;
    keeper keeper_;
    std::optional<exchange> tested_;
    idempo::fencing_token token_;
    bits stage_ = stage::fresh;
};

/// The options that decide about what happens next.
std::vector<idempo::options> all_options() {
    std::vector<idempo::options> found(8);
    for (auto& each : found) each.persist_timeout = 10s;
    found[1].wait = 30s;
    found[2].on_takeover = idempo::on_takeover::hold;
    found[2].on_throw = idempo::on_throw::hold;
    found[3].on_takeover = idempo::on_takeover::reconcile;
    found[3].wait = 30s;
    found[4].on_duplicate = idempo::on_duplicate::reject;
    found[5].on_store_error = idempo::on_store_error::run_unprotected;
    found[6].on_throw = idempo::on_throw::store_500;
    found[6].unstorable = idempo::unstorable::release;
    found[7].hold_if = [](unsigned status) { return status >= 500; };
    for (auto& each : found) {
        each.reconcile = [](idempo::execution const&) -> idempo::reconciliation { return idempo::hold_claim{}; };
    }
    return found;
}

comparison compare_all(std::span<request_step const> table) {
    comparison result;
    for (auto const& options : all_options()) {
        for (auto const lifetime : {exchange::claim_lifetime::leased, exchange::claim_lifetime::call}) {
            choices chosen;
            do driver(options, lifetime, false, chosen, table, result).run();
            while (chosen.next());
        }
    }
    return result;
}

/// A record under another identity, where claims are given up: not all ways, since there are many.
void compare_with_others(std::span<request_step const> table, comparison& result) {
    constexpr std::size_t most_ways = 100'000;
    for (auto const on_error : {idempo::on_store_error::refuse, idempo::on_store_error::run_unprotected}) {
        idempo::options options;
        options.on_store_error = on_error;
        choices chosen;
        std::size_t ways = 0;
        do driver(options, exchange::claim_lifetime::leased, true, chosen, table, result).run();
        while (chosen.next() && ++ways < most_ways);
    }
}

}  // namespace

TEST_CASE("model: whatever is reported to the exchange, a request takes the steps of the table, and all of them") {
    auto result = compare_all(all_request_steps());
    compare_with_others(all_request_steps(), result);
    std::sort(result.forbidden.begin(), result.forbidden.end());
    result.forbidden.erase(std::unique(result.forbidden.begin(), result.forbidden.end()), result.forbidden.end());
    for (auto const& each : result.forbidden) UNSCOPED_INFO(each);
    CHECK(result.forbidden.empty());
    CHECK(result.ways > 10'000);
    for (auto const& row : all_request_steps()) {
        for (bits one = 1; one <= stage::over; one <<= 1U) {
            if ((row.stages & one) == 0) continue;
            INFO(stage_name(one) << ", " << row.words);
            CHECK(result.made.count({one, row.event}) == 1);
        }
    }
}

TEST_CASE("model: a table of requests that lacks any one row differs from the exchange") {
    std::vector<request_step> const whole(all_request_steps().begin(), all_request_steps().end());
    auto whole_result = compare_all(whole);
    compare_with_others(whole, whole_result);
    auto const& made = whole_result.made;
    std::size_t found = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        auto lacking = whole;
        lacking.erase(lacking.begin() + static_cast<std::ptrdiff_t>(i));
        auto const is_missed = [&](auto const& each) { return !next_stage(lacking, each.first, each.second); };
        found += std::any_of(made.begin(), made.end(), is_missed);
    }
    CHECK(found == whole.size());
}
