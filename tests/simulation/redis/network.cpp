// SPDX-License-Identifier: MIT
#include "simulation/redis/network.hpp"

#include "simulation/redis/machine.hpp"

#include <boost/asio/append.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace idempo::simulation {

namespace asio = boost::asio;

void redis_network::open(surroundings& world, redis_machine& server, std::size_t process, process_client::entry enter) {
    world_ = &world;
    server_ = &server;
    process_ = process;
    enter_ = std::move(enter);
}

void redis_network::remove(virtual_socket const& closed) {
    std::erase_if(sockets_, [&](auto const& each) { return each.get() == &closed; });
}

/// What its kernel has is still sent, or it is cut off with it.
void redis_network::end() {
    is_over_ = true;
    for (auto const& each : std::exchange(sockets_, {})) {
        if (world_->random.in_100(50)) each->cut();
        each->drop();
    }
}

void redis_network::cut(std::size_t number) {
    if (sockets_.empty()) return;
    world_->told.count("cut connections");
    world_->told.tell("process ", process_, ": connection ", number, " is cut");
    sockets_[number % sockets_.size()]->cut();
}

void redis_network::shutdown() {
    is_over_ = true;
    for (auto const& each : std::exchange(sockets_, {})) each->drop();
}

void virtual_socket::connect(on_connected done) {
    connecting_ = std::move(done);
    auto& world = network_.world();
    auto const delay = world.random.between(milliseconds{0}, 2 * world.setup.faults.longest_delay);
    world.plan.after(delay, [self = weak_from_this()] {
        if (auto const here = self.lock()) here->in_process(&virtual_socket::connected);
    });
}

/// As an event of the process, which may have ended meanwhile.
void virtual_socket::in_process(void (virtual_socket::*what)()) {
    if (network_.is_over()) return;
    network_.enter([self = weak_from_this(), what] {
        if (auto const here = self.lock(); here && !here->is_closed_) ((*here).*what)();
    });
}

void virtual_socket::connected() {
    link_ = network_.server().accept(network_.process());
    auto const self = weak_from_this();
    if (link_) {
        link_->at_client(
            [self](redis_link&, std::string const& bytes) {
                auto const here = self.lock();
                if (!here || here->network_.is_over()) return;
                here->network_.enter([self, bytes] {
                    if (auto const there = self.lock()) there->receive(bytes);
                });
            },
            [self](redis_link&) {
                auto const here = self.lock();
                if (!here) return;
                here->in_process(&virtual_socket::finish_read);
            });
    }
    error_code const error = link_ ? error_code() : error_code(asio::error::connection_refused);
    asio::post(executor_, [done = std::exchange(connecting_, nullptr), error] { done(error); });
}

void virtual_socket::receive(std::string const& bytes) {
    received_ += bytes;
    if (!received_.empty()) finish_read();
}

/// With what has been received, or else with the end.
void virtual_socket::finish_read() {
    if (received_.empty()) is_ended_ = true;
    if (!reading_) return;
    auto const size = std::min(received_.size(), to_.size());
    asio::buffer_copy(to_, asio::buffer(received_), size);
    received_.erase(0, size);
    complete(std::exchange(reading_, nullptr), size > 0 ? error_code() : error_code(asio::error::connection_reset),
             size);
}

void virtual_socket::complete(on_transferred done, error_code error, std::size_t size) {
    asio::post(executor_, [done = std::move(done), error, size] { done(error, size); });
}

void virtual_socket::read(asio::mutable_buffer to, on_transferred done) {
    to_ = to;
    reading_ = std::move(done);
    if (!received_.empty() || is_ended_) finish_read();
}

std::size_t virtual_socket::write_some_now(std::string_view bytes) {
    auto& random = network_.world().random;
    auto size = bytes.size();
    if (random.in_100(10)) size = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(size)));
    if (link_) link_->send_to_server(std::string(bytes.substr(0, size)));
    return size;
}

void virtual_socket::write(std::string_view bytes, on_transferred done) {
    if (link_) link_->send_to_server(std::string(bytes));
    complete(std::move(done), {}, bytes.size());
}

void virtual_socket::close() {
    if (std::exchange(is_closed_, true)) return;
    if (link_) link_->close();
    auto const self = shared_from_this();
    network_.remove(*this);
    if (network_.is_over()) return drop();
    if (connecting_) {
        asio::post(executor_, [done = std::exchange(connecting_, nullptr)] { done(asio::error::operation_aborted); });
    }
    if (reading_) complete(std::exchange(reading_, nullptr), asio::error::operation_aborted, 0);
}

void virtual_socket::cut() {
    if (link_) link_->cut();
}

void virtual_socket::drop() {
    is_closed_ = true;
    if (link_) link_->close();
    auto const connecting = std::exchange(connecting_, nullptr);
    auto const reading = std::exchange(reading_, nullptr);
}

}  // namespace idempo::simulation

namespace idempo::redis {

namespace {

using simulation::redis_network;
using simulation::virtual_socket;

class virtual_transport final : public transport {
public:
    virtual_transport(redis_network& network, strand const& executor)
        : socket_(std::make_shared<virtual_socket>(network, executor)) {
        network.add(socket_);
    }
    ~virtual_transport() override { socket_->close(); }

    void connect(on_connected done) override { socket_->connect(std::move(done)); }
    void read(asio::mutable_buffer to, on_transferred done) override { socket_->read(to, std::move(done)); }
    void write(std::string_view bytes, on_transferred done) override { socket_->write(bytes, std::move(done)); }
    std::size_t write_some_now(std::string_view bytes) override { return socket_->write_some_now(bytes); }
    void close() override { socket_->close(); }

private:
    std::shared_ptr<virtual_socket> socket_;
};

}  // namespace

// These stand for what the library has in transport.ipp, which the simulation leaves out.

std::unique_ptr<transport> make_transport(strand executor, redis_endpoint, dialing) {
    auto& context = asio::query(executor.get_inner_executor(), asio::execution::context);
    return std::make_unique<virtual_transport>(asio::use_service<redis_network>(context), executor);
}

std::unique_ptr<transport> make_unix_transport(strand executor, std::string) {
    return make_transport(std::move(executor), {}, {});
}

std::shared_ptr<tls_setup> make_tls_setup(redis_tls const&) { throw std::logic_error("the simulation has no TLS"); }

bool is_certificate_error(error_code) noexcept { return false; }

}  // namespace idempo::redis
