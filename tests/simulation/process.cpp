// SPDX-License-Identifier: MIT
#include "simulation/process.hpp"

#include "simulation/service.hpp"
#include "simulation/world_trace.hpp"

#include <idempo/idempo.hpp>
#include <idempo/stores/traced.hpp>
#include <idempo/testing/read_answer.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <optional>
#include <utility>

namespace idempo::simulation {

namespace {

seen_answer look_at(text_response const& response) {
    seen_answer seen;
    seen.status = response.result_int();
    seen.is_replay = response["Idempotency-Replayed"] == "true";
    seen.is_final = response["x-should-retry"] == "false";
    bool const is_problem = response[http::field::content_type].find("problem") != std::string_view::npos;
    if (is_problem) return seen;
    seen.text = response.body();
    constexpr std::string_view mark = "|run-";
    auto const place = seen.text.find(mark);
    if (place != std::string::npos) seen.run = std::stoul(seen.text.substr(place + mark.size()));
    return seen;
}

text_request make_request(std::size_t key, std::string const& payload) {
    text_request request(http::verb::post, "/charge", 11);
    request.set(http::field::host, "localhost");
    request.set("Idempotency-Key", key_text(key));
    request.body() = payload;
    request.prepare_payload();
    return request;
}

/// Sets the clock that the library reads.
class at_work {
public:
    explicit at_work(local_clock const& clock) : before_(std::exchange(running_clock, &clock)) {}
    at_work(at_work const&) = delete;
    at_work& operator=(at_work const&) = delete;
    ~at_work() { running_clock = before_; }

private:
    local_clock const* before_;
};

}  // namespace

struct process::life {
    using plain_middleware = middleware<service, remote_store>;
    using traced_middleware = middleware<service, traced_store<remote_store>>;

    life(surroundings& world, std::size_t number, local_clock const& clock, process_client::entry enter,
         idempo::options options)
        : timers(asio::use_service<timer_room>(context)),
          client(world.make_client(number, clock, context.get_executor(), std::move(enter))) {
        service const serves(world, number);
        if (!world.trace) {
            plain.emplace(serves, remote_store(client), options);
            return;
        }
        auto const trace = trace_in_world(world.setup.seed, world.trace);
        options.observer = trace.observing(std::move(options.observer));
        traced.emplace(serves, idempo::traced(remote_store(client), trace, store_name(world.setup.seed)), options);
    }

    template <class Request, class Token>
    void handle(Request request, Token token) {
        if (plain) {
            (*plain)(std::move(request), std::move(token));
        } else {
            (*traced)(std::move(request), std::move(token));
        }
    }

    asio::io_context context{1};
    timer_room& timers;
    std::shared_ptr<process_client> client;
    std::optional<plain_middleware> plain;
    std::optional<traced_middleware> traced;
};

process::process(surroundings& world, std::size_t number) : world_(world), number_(number) { start(); }

process::~process() {
    at_work const working(clock_);
    if (life_) life_->client->end(false);
    life_.reset();
}

void process::start() {
    if (life_) return;
    auto options = world_.setup.options;
    options.observer = [&told = world_.told](event const& event) {
        if (event.type > event_type::step_ended) told.count(to_string(event.type));
    };
    if (world_.setup.reconciles) {
        options.reconcile = [this](execution const& of) -> reconciliation {
            if (world_.random.in_100(15)) return hold_claim{};
            auto found = find_out(world_.truth, key_of_text(of.key()), of.derived_key(charge_label));
            if (found) return std::move(*found);
            return run_again{};
        };
    }
    at_work const working(clock_);
    life_ = std::make_unique<life>(
        world_, number_, clock_, [this](std::function<void()> what) { enter(std::move(what)); }, options);
    is_stopped_ = false;
}

void process::kill(bool destructors_can_send) {
    if (!life_) return;
    world_.told.tell("process ", number_, destructors_can_send ? " is shut down" : " dies");
    world_.told.count(destructors_can_send ? "shutdowns" : "deaths");
    world_.truth.died(number_);
    inbox_.clear();
    at_work const working(clock_);
    auto const client = life_->client;
    client->end(destructors_can_send);
    life_.reset();
    client->die();
}

void process::stop() {
    if (!life_ || is_stopped_) return;
    world_.told.tell("process ", number_, " is stopped");
    world_.told.count("stops");
    world_.truth.disturb(number_);
    is_stopped_ = true;
}

void process::go_on() {
    if (!life_ || !is_stopped_) return;
    world_.told.tell("process ", number_, " goes on");
    is_stopped_ = false;
    auto const inbox = std::exchange(inbox_, {});
    for (auto const& what : inbox) enter(what);
    world_.truth.disturb(number_);
}

void process::enter(std::function<void()> what) {
    if (!life_) return;
    if (is_stopped_) return inbox_.push_back(std::move(what));
    at_work const working(clock_);
    what();
    life_->context.restart();
    life_->context.poll();
    if (has_odd_clock_) world_.truth.disturb(number_);
}

void process::serve(std::size_t key, std::string const& payload, respond answer) {
    enter([this, key, payload, answer = std::move(answer)] {
        auto tell = [this, key, answer](http::message_generator message) {
            auto const seen = look_at(testing::read_answer(std::move(message)));
            world_.told.tell("process ", number_, " answers a request for key ", key, ": ", seen.status,
                             seen.is_replay ? ", replayed" : "", seen.is_final ? ", final" : "");
            world_.truth.answering(key, seen, std::chrono::steady_clock::now());
            answer(seen);
        };
        life_->handle(make_request(key, payload), asio::bind_executor(life_->context.get_executor(), std::move(tell)));
    });
}

void process::cut(std::size_t connection) {
    if (life_) life_->client->cut(connection);
}

void process::jump(duration by) {
    world_.told.tell("process ", number_, ": its clock jumps by ",
                     std::chrono::duration_cast<std::chrono::milliseconds>(by).count(), " ms");
    world_.told.count("clock jumps");
    world_.truth.clock_jumped(number_, by);
    clock_.jump(world_now, by);
}

void process::run_at(std::int64_t per_mille) {
    clock_.run_at(world_now, per_mille);
    has_odd_clock_ = has_odd_clock_ || per_mille != 1000;
    world_.truth.disturb(number_);
}

std::optional<time_point> process::next_timer() const {
    if (!life_ || is_stopped_) return std::nullopt;
    auto const next = life_->timers.next();
    if (!next) return std::nullopt;
    return std::max(world_now, clock_.world_time_of(*next));
}

void process::run_timers() {
    enter([this] { life_->timers.run_until(clock_.at(world_now)); });
}

}  // namespace idempo::simulation
