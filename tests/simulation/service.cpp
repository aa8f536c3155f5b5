// SPDX-License-Identifier: MIT
#include "simulation/service.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

namespace idempo::simulation {

namespace {

constexpr unsigned ok = 200;
constexpr unsigned declined = 402;
constexpr unsigned failed = 500;

text_response make_response(unsigned status, std::string text) {
    text_response response(http::int_to_status(status), 11);
    response.body() = std::move(text);
    response.prepare_payload();
    return response;
}

asio::awaitable<void> wait_for(duration span) {
    asio::steady_timer timer(co_await asio::this_coro::executor, span);
    co_await timer.async_wait(asio::use_awaitable);
}

/// Too large to be stored, or, for Redis, so large that it is not stored as the others are.
std::size_t size_of_large(scenario const& setup) {
    auto const most = setup.options.max_response_body;
    return setup.redis.stores_large_answers || setup.postgres.stores_large_answers ? most - 5000 : most;
}

}  // namespace

std::size_t key_of_text(std::string_view text) {
    std::size_t key = 0;
    auto const digits = text.substr(text.find('-') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), key);
    return key;
}

std::optional<text_response> find_out(ground_truth const& truth, std::size_t key, std::string_view charge_key) {
    auto const* const charged = truth.run_with_effect(key, charge_key);
    if (charged == nullptr) return std::nullopt;
    return make_response(ok, charged->payload + "|found out");
}

asio::awaitable<text_response> service::operator()(text_request request, execution& of) const {
    auto const key = key_of_text(of.key());
    auto& ran = world_->truth.started(key, process_, of.attempt());
    ran.payload = request.body();
    if (of.keyed()) ran.charge_key = of.derived_key(charge_label);
    auto const text = request.body() + "|run-" + std::to_string(ran.number);
    world_->told.tell("process ", process_, ": run ", ran.number, " of key ", key, " starts, attempt ", of.attempt());
    try {
        co_return co_await charge_and_answer(ran, of, text);
    } catch (execution_lost const&) {
        ran.end = ending::fenced;
        throw;
    } catch (boost::system::system_error const&) {  // a step that could not be kept
        ran.end = ending::held;
        throw;
    }
}

asio::awaitable<text_response> service::charge_and_answer(run& ran, execution& of, std::string text) const {
    auto& random = world_->random;
    auto const& plan = world_->setup.service;
    auto const lease = world_->setup.options.lease;
    auto const roll = static_cast<unsigned>(random.between(0, 999));
    unsigned passed = 0;
    auto const is = [&](unsigned share) {
        passed += share;
        return roll >= passed - share && roll < passed;
    };
    bool const is_slow = random.in_1000(plan.slow);
    bool const with_steps = random.in_1000(plan.with_steps);
    co_await wait_for(is_slow ? random.between(lease / 2, 3 * lease)
                              : random.between(milliseconds{0}, milliseconds{20}));
    if (is(plan.fails_before_effect)) {
        if (random.in_100(50)) co_return answer(ran, failed, {});
        ran.end = ending_of_throw();
        ran.ended_at = std::chrono::steady_clock::now();
        throw std::runtime_error("no effect");
    }
    if (is(plan.declines)) co_return answer(ran, declined, std::move(text));
    if (is(plan.says_release)) {
        of.release();
        auto response = answer(ran, failed, {});
        ran.end = ending::released;
        co_return response;
    }
    co_await charge(ran, of, with_steps);
    co_await wait_for(random.between(milliseconds{0}, milliseconds{20}));
    if (is(plan.fails_after_effect)) {
        if (random.in_100(50)) co_return answer(ran, failed, {});
        ran.end = ending_of_throw();
        ran.ended_at = std::chrono::steady_clock::now();
        throw std::runtime_error("after the effect");
    }
    if (is(plan.keeps_failure)) {
        of.keep();
        auto response = answer(ran, failed, std::move(text));
        ran.end = ending::stored;
        co_return response;
    }
    if (is(plan.says_unknown)) {
        of.unknown("the bank did not answer");
        auto response = answer(ran, failed, {});
        ran.end = ending::parked;
        world_->told.count("unknown outcomes");
        co_return response;
    }
    if (is(plan.large_answers)) text += '|' + std::string(size_of_large(world_->setup), 'x');
    co_return answer(ran, ok, std::move(text));
}

asio::awaitable<void> service::charge(run& ran, execution& of, bool with_steps) const {
    auto const effect = [this, &ran] {
        world_->truth.had_effect(ran);
        world_->told.tell("process ", process_, ": run ", ran.number, " has its effect");
    };
    if (!with_steps) {
        effect();
        co_return;
    }
    for (std::string const label : {"reserve", "charge"}) {
        auto step = [&](std::string) -> asio::awaitable<std::string> {
            world_->truth.ran_step(ran, label);
            if (label == "charge") effect();
            co_await wait_for(world_->random.between(milliseconds{0}, milliseconds{10}));
            co_return label;
        };
        auto const result = co_await of.step(label, step);
        if (result != label) world_->told.violated("a kept step is not repeated", "run ", ran.number, " got ", result);
        world_->truth.kept_step(ran, label);
    }
}

ending service::ending_of(unsigned status) const {
    bool const is_success = status >= 200 && status < 300;
    if (world_->setup.options.on_duplicate == on_duplicate::reject)
        return is_success ? ending::stored : ending::released;
    return stored_by_default(status) ? ending::stored : ending::released;
}

ending service::ending_of_throw() const {
    switch (world_->setup.options.on_throw) {
    case on_throw::hold: return ending::held;
    case on_throw::store_500: return ending::stored;
    case on_throw::release: break;
    }
    return ending::released;
}

text_response service::answer(run& ran, unsigned status, std::string text) const {
    ran.end = ending_of(status);
    ran.ended_at = std::chrono::steady_clock::now();
    world_->told.tell("process ", process_, ": run ", ran.number, " answers ", status);
    return make_response(status, std::move(text));
}

}  // namespace idempo::simulation
