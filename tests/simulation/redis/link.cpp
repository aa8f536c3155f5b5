// SPDX-License-Identifier: MIT
#include "simulation/redis/link.hpp"

#include <algorithm>
#include <utility>

namespace idempo::simulation {

void redis_link::at_client(on_bytes receive, on_closed closed) {
    at_client_ = std::move(receive);
    closed_ = std::move(closed);
}

void redis_link::send_to_server(std::string bytes) {
    if (!is_cut_) to_server_.stall(world_, process_, world_.setup.faults.lost_requests, "stalled requests");
    send(to_server_, std::move(bytes), at_server_);
}

void redis_link::send_to_client(std::string bytes) {
    if (!is_cut_) to_client_.stall(world_, process_, world_.setup.faults.lost_answers, "stalled answers");
    send(to_client_, std::move(bytes), at_client_);
}

void redis_link::send(direction& way, std::string bytes, on_bytes const& receive) {
    if (is_cut_ || bytes.empty()) return;
    auto& random = world_.random;
    bool const is_held_up = way.is_silent || way.last_arrival > world_now + world_.setup.faults.longest_delay;
    if (is_held_up) world_.truth.disturb(process_);
    for (auto pieces = random.in_100(70) ? 1 : random.between(2, 4); pieces > 0 && !bytes.empty(); --pieces) {
        auto const most = static_cast<std::int64_t>(bytes.size());
        auto const size = pieces == 1 ? bytes.size() : static_cast<std::size_t>(random.between(1, most));
        way.under_way.push_back(bytes.substr(0, size));
        bytes.erase(0, size);
        if (way.is_silent) continue;
        auto const delay = random.between(milliseconds{0}, world_.setup.faults.longest_delay);
        way.last_arrival = std::max(way.last_arrival, world_now + delay);
        world_.plan.at(way.last_arrival, [self = shared_from_this(), &way, &receive, epoch = way.epoch] {
            if (way.epoch == epoch) self->arrive(way, receive);
        });
    }
}

void redis_link::arrive(direction& way, on_bytes const& receive) {
    auto const bytes = std::move(way.under_way.front());
    way.under_way.pop_front();
    if (receive) receive(*this, bytes);
}

/// Takes everything from under way, and leaves so many bytes of it as still arrive.
std::string redis_link::some_of(direction& way, random_source& random) {
    std::string all;
    for (auto const& each : way.under_way) all += each;
    way.under_way.clear();
    ++way.epoch;
    all.resize(static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(all.size()))));
    return all;
}

void redis_link::cut() {
    if (is_cut_) return;
    is_cut_ = true;
    world_.truth.disturb(process_);
    auto const self = shared_from_this();
    auto const last = world_.random.between(milliseconds{0}, world_.setup.faults.longest_delay);
    auto const noticed = world_.random.between(milliseconds{1}, milliseconds{200});
    world_.plan.after(last, [self, rest = some_of(to_server_, world_.random)] {
        if (self->at_server_) self->at_server_(*self, rest);
    });
    world_.plan.after(noticed, [self, rest = some_of(to_client_, world_.random)] {
        if (self->at_client_) self->at_client_(*self, rest);
        if (self->closed_) self->closed_(*self);
    });
}

void redis_link::close() {
    at_client_ = nullptr;
    closed_ = nullptr;
    to_client_.close();
}

}  // namespace idempo::simulation
