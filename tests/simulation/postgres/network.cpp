// SPDX-License-Identifier: MIT
#include "simulation/postgres/network.hpp"

#include "simulation/postgres/machine.hpp"

#include <algorithm>
#include <utility>

namespace idempo::simulation {

postgres_socket::postgres_socket(postgres_network& network, std::shared_ptr<postgres_link> over)
    : network_(&network),
      link_(std::move(over)) {}

void postgres_socket::listen() {
    auto const self = weak_from_this();
    link_->at_client = [self](postgres_answer answer) {
        auto const here = self.lock();
        if (!here) return;
        here->in_process([answer = std::move(answer)](postgres_socket& at) { at.arrived_.push_back(answer); });
    };
    link_->server_closed = [self] {
        if (auto const here = self.lock()) here->in_process([](postgres_socket& at) { at.is_closed_ = true; });
    };
}

/// As an event of the process, which may have ended meanwhile.
void postgres_socket::in_process(std::function<void(postgres_socket&)> what) {
    if (network_ == nullptr) return;
    network_->enter([self = weak_from_this(), what = std::move(what)] {
        auto const here = self.lock();
        if (!here || here->network_ == nullptr) return;
        what(*here);
        here->network_->fibers().wake(here->waits_, here->turn_);
    });
}

bool postgres_socket::wait(time_point deadline) {
    while (network_ != nullptr && arrived_.empty() && !is_closed_) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        waits_ = fiber::running()->weak_from_this();
        turn_ = fiber::running()->turn();
        network_->fibers().wait(deadline);
    }
    return true;
}

postgres_answer postgres_socket::take() {
    auto taken = std::move(arrived_.front());
    arrived_.pop_front();
    return taken;
}

void postgres_socket::close() {
    is_closed_ = true;
    link_->close_at_client();
    if (network_ != nullptr) network_->remove(*this);
}

void postgres_socket::drop() {
    network_ = nullptr;
    is_closed_ = true;
    link_->close_at_client();
}

void postgres_network::open(surroundings& world, postgres_machine& server, std::size_t process,
                            process_client::entry enter) {
    world_ = &world;
    server_ = &server;
    process_ = process;
    enter_ = std::move(enter);
}

void postgres_network::remove(postgres_socket const& closed) {
    std::erase_if(sockets_, [&](auto const& each) { return each.get() == &closed; });
}

/// What its kernel has is still sent, or it is cut off with it.
void postgres_network::end() {
    is_over_ = true;
    for (auto const& each : std::exchange(sockets_, {})) {
        if (world_->random.in_100(50)) each->cut();
        each->drop();
    }
}

void postgres_network::cut(std::size_t number) {
    if (sockets_.empty()) return;
    world_->told.count("cut connections");
    world_->told.tell("process ", process_, ": connection ", number, " is cut");
    sockets_[number % sockets_.size()]->cut();
}

postgres_network& postgres_network::of_running() {
    return asio::use_service<postgres_network>(fiber_room::of_running().context());
}

pg_conn* postgres_network::connect(std::chrono::milliseconds share, std::atomic<bool> const& stop, std::string& why) {
    struct attempt {
        bool is_decided = false;
        bool is_given_up = false;
        postgres_welcome welcome{};
    };
    auto const made = std::make_shared<attempt>();
    auto const deadline = std::chrono::steady_clock::now() + share;
    auto const longest = 2 * world_->setup.faults.longest_delay;
    if (is_over_) return nullptr;
    world_->plan.after(world_->random.between(milliseconds{0}, longest), [made, server = server_, process = process_] {
        if (!made->is_given_up) made->welcome = server->accept(process);
    });
    world_->plan.after(longest + milliseconds{1},
                       [made, enter = enter_, &room = fibers(), who = fiber::running()->weak_from_this(),
                        turn = fiber::running()->turn()] {
                           if (made->welcome.is_silent || made->is_given_up) return;
                           enter([made, &room, who, turn] {
                               made->is_decided = true;
                               if (!who.expired()) room.wake(who, turn);
                           });
                       });
    while (!made->is_decided && !stop && !is_over_ && std::chrono::steady_clock::now() < deadline) {
        fibers().wait(deadline);
    }
    auto& welcome = made->welcome;
    made->is_given_up = true;
    if (is_over_ || stop || !made->is_decided || !welcome.link) {
        why = made->is_decided ? welcome.refusal : "did not answer in time";
        world_->told.count("connections refused");
        world_->truth.disturb(process_);
        if (welcome.link) welcome.link->close_at_client();
        return nullptr;
    }
    auto const socket = std::make_shared<postgres_socket>(*this, welcome.link);
    socket->listen();
    sockets_.push_back(socket);
    return new pg_conn{socket, welcome.server_process};
}

}  // namespace idempo::simulation
