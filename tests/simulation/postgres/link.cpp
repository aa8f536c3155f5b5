// SPDX-License-Identifier: MIT
#include "simulation/postgres/link.hpp"

#include <algorithm>
#include <utility>

namespace idempo::simulation {

void postgres_link::send_to_server(postgres_message what) {
    if (!is_cut_) to_server_.stall(world_, process_, world_.setup.faults.lost_requests, "stalled requests");
    send(to_server_, [this, what = std::move(what)]() mutable {
        if (at_server) at_server(std::move(what));
    });
}

void postgres_link::send_to_client(postgres_answer what) {
    if (!is_cut_) to_client_.stall(world_, process_, world_.setup.faults.lost_answers, "stalled answers");
    send(to_client_, [this, what = std::move(what)]() mutable {
        if (at_client) at_client(std::move(what));
    });
}

void postgres_link::send(direction& way, std::function<void()> arrival) {
    if (is_cut_) return;
    bool const is_held_up = way.is_silent || way.last_arrival > world_now + world_.setup.faults.longest_delay;
    if (is_held_up) world_.truth.disturb(process_);
    way.under_way.push_back(std::move(arrival));
    if (way.is_silent) return;
    auto const delay = world_.random.between(milliseconds{0}, world_.setup.faults.longest_delay);
    way.last_arrival = std::max(way.last_arrival, world_now + delay);
    world_.plan.at(way.last_arrival, [self = shared_from_this(), &way, epoch = way.epoch] {
        if (way.epoch != epoch) return;
        auto const what = std::move(way.under_way.front());
        way.under_way.pop_front();
        what();
    });
}

/// Takes everything from under way, and gives so much of it as still arrives.
std::deque<std::function<void()>> postgres_link::some_of(direction& way) {
    auto all = std::move(way.under_way);
    way.under_way.clear();
    ++way.epoch;
    all.resize(static_cast<std::size_t>(world_.random.between(0, static_cast<std::int64_t>(all.size()))));
    return all;
}

void postgres_link::cut() {
    if (is_cut_) return;
    is_cut_ = true;
    world_.truth.disturb(process_);
    auto const last = world_.random.between(milliseconds{0}, world_.setup.faults.longest_delay);
    auto const noticed = world_.random.between(milliseconds{1}, milliseconds{200});
    world_.plan.after(last, [self = shared_from_this(), rest = some_of(to_server_)] {
        for (auto const& each : rest) each();
        if (self->client_closed) self->client_closed();
    });
    world_.plan.after(noticed, [self = shared_from_this(), rest = some_of(to_client_)] {
        for (auto const& each : rest) each();
        if (self->server_closed) self->server_closed();
    });
}

void postgres_link::close_at_client() {
    at_client = nullptr;
    server_closed = nullptr;
    to_client_.close();
    send(to_server_, [this] {
        if (client_closed) client_closed();
    });
}

void postgres_link::close_at_server() {
    at_server = nullptr;
    client_closed = nullptr;
    to_server_.close();
    send(to_client_, [this] {
        if (server_closed) server_closed();
    });
}

}  // namespace idempo::simulation
