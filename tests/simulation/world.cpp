// SPDX-License-Identifier: MIT
#include "simulation/world.hpp"

#include "simulation/agenda.hpp"
#include "simulation/endpoint.hpp"
#include "simulation/ground_truth.hpp"
#include "simulation/postgres/client.hpp"
#include "simulation/postgres/machine.hpp"
#include "simulation/process.hpp"
#include "simulation/random.hpp"
#include "simulation/redis/client.hpp"
#include "simulation/redis/machine.hpp"
#include "simulation/scenario.hpp"
#include "simulation/service.hpp"
#include "simulation/store_machine.hpp"
#include "simulation/store_server.hpp"
#include "simulation/world_trace.hpp"

#include <idempo/key.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/stores/traced.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::simulation {

namespace {

/// How long clients go on after the trouble. Many leases, so that a key which is stuck shows.
constexpr std::chrono::minutes patience{10};

/// Sends one request under its key until it has a final answer, as SDKs do.
struct client {
    std::size_t key = 0;
    std::string payload;
    unsigned attempt = 0;
    unsigned rounds = 1;
    milliseconds pause{20};
};

std::vector<store_key> make_keys(unsigned count) {
    std::vector<store_key> keys;
    for (std::size_t key = 0; key < count; ++key) keys.push_back(make_store_key({}, {}, key_text(key)));
    return keys;
}

class world {
public:
    world(std::uint64_t seed, mutant bug, std::ostream* history, std::optional<store_kind> store,
          trace_sink const& trace)
        : setup_(make_scenario(seed, store)),
          random_(seed ^ 0x5EEDU),
          told_(history),
          keys_(make_keys(setup_.keys)),
          truth_(setup_, told_, keys_),
          around_{setup_, bug, random_, plan_, told_, truth_, {}, {}} {
        make_store();
        bool const is_traced = setup_.faults.losses == 0 && setup_.faults.store_clock_jumps == 0;
        if (is_traced && trace) {
            around_.trace = trace;
            operator_calls_.emplace(trace_in_world(seed, trace), store_name(seed));
        }
        for (std::size_t i = 0; i < setup_.processes; ++i) processes_.push_back(std::make_unique<process>(around_, i));
        plan_clients();
        plan_trouble();
        plan_.after(setup_.troubled, [this] { calm_down(); });
    }

    outcome run() {
        auto const began = world_now;
        auto const end = world_now + setup_.troubled + patience;
        // A trace goes on, so that it has what came of the violation.
        bool const stops = !around_.trace;
        while (!(stops && told_.found()) && world_now < end && (busy_ > 0 || world_now < began + setup_.troubled))
            step();
        if (!told_.found()) finish();
        return {told_.found(), told_.counted()};
    }

private:
    void make_store() {
        using std::move;
        if (setup_.store == store_kind::redis) {
            auto made = std::make_unique<redis_machine>(around_);
            around_.make_client = [this, &server = *made](auto process, auto const&, auto executor, auto enter) {
                return std::make_shared<redis_client>(around_, server, process, move(executor), move(enter));
            };
            server_ = move(made);
            return;
        }
        if (setup_.store == store_kind::postgresql) {
            auto made = std::make_unique<postgres_machine>(around_);
            around_.make_client = [this, &server = *made](auto process, auto const&, auto executor, auto enter) {
                return std::make_shared<postgres_client>(around_, server, process, move(executor), move(enter));
            };
            server_ = move(made);
            return;
        }
        auto made = std::make_unique<store_server>(around_.bug, setup_.faults.losses > 0, told_, truth_);
        around_.make_client = [this, &server = *made](auto process, auto const& clock, auto executor, auto enter) {
            return std::make_shared<endpoint>(around_, server, process, clock, move(executor), move(enter));
        };
        server_ = move(made);
    }

    void step() {
        auto const next = plan_.next();
        process* first = nullptr;
        auto first_at = next.value_or(time_point::max());
        for (auto const& each : processes_) {
            auto const timer = each->next_timer();
            if (!timer || *timer >= first_at) continue;
            first = each.get();
            first_at = *timer;
        }
        world_now = std::max(world_now, first_at);
        if (first != nullptr) return first->run_timers();
        plan_.run_next();
    }

    [[nodiscard]] duration sometime() { return random_.between(milliseconds{0}, setup_.troubled); }
    [[nodiscard]] process& some_process() {
        return *processes_[static_cast<std::size_t>(random_.between(0, setup_.processes - 1))];
    }

    void plan_clients() {
        for (std::size_t key = 0; key < setup_.keys; ++key) {
            for (unsigned i = 0; i < setup_.clients_per_key; ++i) {
                auto made = std::make_shared<client>();
                made->key = key;
                bool const is_other = i > 0 && random_.in_100(setup_.other_payloads);
                made->payload = (is_other ? "other-" : "amount-") + std::to_string(key);
                made->rounds = random_.in_100(40) ? 2 : 1;
                ++busy_;
                plan_.after(random_.between(milliseconds{0}, setup_.arrivals), [this, made] { send(made); });
            }
        }
    }

    void repeat(unsigned times, std::function<void()> const& what) {
        for (unsigned i = 0; i < times; ++i) plan_.after(sometime(), what);
    }

    void plan_trouble() {
        auto const& faults = setup_.faults;
        repeat(faults.cuts, [this] {
            some_process().cut(static_cast<std::size_t>(random_.between(0, process_client::connection_count - 1)));
        });
        repeat(faults.deaths, [this] { end_process(false); });
        repeat(faults.shutdowns, [this] { end_process(true); });
        repeat(faults.stops, [this] {
            auto& stopped = some_process();
            stopped.stop();
            plan_.after(random_.between(setup_.options.lease / 4, 2 * setup_.options.lease),
                        [&stopped] { stopped.go_on(); });
        });
        repeat(faults.clock_jumps, [this] { some_process().jump(milliseconds(random_.between(-5000, 5000))); });
        repeat(faults.slow_or_fast_clocks, [this] {
            some_process().run_at(random_.one_of<int>({300, 700, 1500, 3000}));
        });
        repeat(faults.store_outages, [this] {
            server_->go_down();
            plan_.after(random_.between(milliseconds{10}, milliseconds{3000}), [this] { server_->come_back(); });
        });
        repeat(faults.store_clock_jumps, [this] {
            truth_.disturb_all();
            told_.count("jumps of the store's clock");
            server_->jump(milliseconds(random_.between(100, 5000)));
        });
        repeat(faults.losses, [this] { server_->lose(static_cast<std::size_t>(random_.between(1, 10))); });
    }

    void end_process(bool gracefully) {
        auto& ended = some_process();
        if (!ended.is_alive()) return;
        ended.kill(gracefully);
        plan_.after(random_.between(milliseconds{10}, milliseconds{2000}), [&ended] { ended.start(); });
    }

    void calm_down() {
        told_.tell("from here on nothing goes wrong");
        auto const longest_delay = setup_.faults.longest_delay;
        setup_.faults = {};
        setup_.faults.longest_delay = longest_delay;
        setup_.service = {};
        server_->come_back();
        for (auto const& each : processes_) {
            each->start();
            each->go_on();
            each->run_at(1000);
        }
        look_after_parked();
    }

    void settle_by_hand(settle_request const& request) {
        auto const call = operator_calls_ ? operator_calls_->begin(request) : 0;
        auto const answer = server_->ask(request);
        if (!operator_calls_ || !answer) return;
        auto const* const is_settled = std::get_if<bool>(&answer->result);
        operator_calls_->end(request, call, answer->error, is_settled != nullptr && *is_settled);
    }

    /// An operator settles what nobody else does.
    void look_after_parked() {
        for (std::size_t key = 0; key < setup_.keys; ++key) {
            auto const found = server_->ask(peek_request{keys_[key]});
            auto const* info = found ? std::get_if<std::optional<record_info>>(&found->result) : nullptr;
            if (info == nullptr || !*info || (*info)->state != record_state::parked) continue;
            settle_request settle;
            settle.key = keys_[key];
            settle.attempt = (*info)->attempt;
            settle.retention = setup_.options.retention;
            auto const* const by = truth_.run_that_parked(key);
            auto const response = by == nullptr ? std::nullopt : find_out(truth_, key, by->charge_key);
            bool const guards = setup_.options.on_duplicate == on_duplicate::reject;
            if (response) settle.record = guards ? make_tombstone(200) : *make_record(*response, capture_policy{});
            told_.count("settled by hand");
            settle_by_hand(settle);
        }
        plan_.after(milliseconds{500}, [this] { look_after_parked(); });
    }

    void send(std::shared_ptr<client> const& by) {
        auto const attempt = ++by->attempt;
        auto& server = some_process();
        told_.count("requests");
        plan_.after(random_.between(milliseconds{50}, setup_.options.lease + milliseconds{1500}), [this, by, attempt] {
            if (by->attempt == attempt) retry(by);
        });
        if (random_.in_1000(setup_.faults.lost_http)) return;
        plan_.after(http_delay(), [this, by, attempt, &server] {
            server.serve(by->key, by->payload, [this, by, attempt](seen_answer const& answer) {
                if (random_.in_1000(setup_.faults.lost_http)) return told_.count("lost responses");
                plan_.after(http_delay(), [this, by, attempt, answer] { receive(by, attempt, answer); });
            });
        });
    }

    [[nodiscard]] duration http_delay() { return random_.between(milliseconds{0}, setup_.faults.longest_delay); }

    void retry(std::shared_ptr<client> const& by) {
        ++by->attempt;
        told_.count("retries");
        plan_.after(random_.between(milliseconds{0}, by->pause), [this, by] { send(by); });
        by->pause = std::min<milliseconds>(by->pause * 2, milliseconds{1000});
    }

    void receive(std::shared_ptr<client> const& by, unsigned attempt, seen_answer const& answer) {
        if (by->attempt != attempt) return;  // it has given up waiting for this one
        bool const asks_to_wait = answer.status == 409 || answer.status == 429 || answer.status >= 500;
        if (asks_to_wait && !answer.is_final && !answer.is_replay) return retry(by);
        ++by->attempt;
        told_.count("answers");
        truth_.answered(by->key, by->payload, answer);
        if (--by->rounds == 0) {
            --busy_;
            return;
        }
        plan_.after(random_.between(milliseconds{0}, milliseconds{3000}), [this, by] { send(by); });
    }

    void finish() {
        if (busy_ > 0) truth_.unanswered(busy_);
        truth_.finish(server_->now());
    }

    scenario setup_;
    random_source random_;
    agenda plan_;
    chronicle told_;
    std::vector<store_key> keys_;
    ground_truth truth_;
    surroundings around_;
    std::unique_ptr<store_machine> server_;
    std::optional<detail::traced_calls> operator_calls_;
    std::vector<std::unique_ptr<process>> processes_;
    std::size_t busy_ = 0;
};

/// Which worlds have it.
store_kind store_of(mutant bug) {
    if (is_of_postgres(bug)) return store_kind::postgresql;
    return is_of_redis(bug) ? store_kind::redis : store_kind::memory;
}

}  // namespace

outcome run_world(std::uint64_t seed, mutant bug, std::ostream* history, std::optional<store_kind> store,
                  trace_sink const& trace) {
    if (!store && bug != mutant::none) store = store_of(bug);
    world_now = time_point(std::chrono::hours{1000});
    running_clock = nullptr;
    world made(seed, bug, history, store, trace);
    return made.run();
}

}  // namespace idempo::simulation
