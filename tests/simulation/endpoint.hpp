// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/process_client.hpp"
#include "simulation/reused_tokens.hpp"
#include "simulation/store_server.hpp"
#include "simulation/surroundings.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

namespace idempo::simulation {

/// A process's client of the store, with two connections. A connection keeps the order of its messages; messages are
/// lost, late or doubled as the scenario says.
class endpoint final : public process_client, public std::enable_shared_from_this<endpoint> {
public:
    endpoint(surroundings& world, store_server& server, std::size_t process, local_clock const& clock,
             asio::any_io_executor executor, entry enter);

    void send(store_call call, answer_handler done) override;
    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }

    void end(bool destructors_can_send) override;
    void die() override { is_dead_ = true; }
    void cut(std::size_t connection) override;

private:
    struct pending_call {
        store_call call;
        answer_handler done;
        std::uint64_t sent_at;
        std::unique_ptr<asio::steady_timer> deadline;
    };
    struct connection {
        unsigned epoch = 0;
        time_point last_request{};
        time_point last_answer{};
        std::optional<store_answer> stale{};
    };

    /// True where the seeded bug has dealt with the call.
    bool deceives(store_call const& call, answer_handler& done);
    void transmit(std::uint64_t id, bool is_retry = false);
    void send_last(store_call call);
    void transmit_late(std::uint64_t id, store_call call, std::uint64_t sent_at);
    void arrive(std::uint64_t id, store_call const& call, std::uint64_t sent_at, unsigned epoch);
    void receive(std::uint64_t id, store_answer answer);
    void time_out(std::uint64_t id);
    void finish(std::uint64_t id, store_answer answer);
    void distort(store_call const& call, store_answer& answer);
    [[nodiscard]] duration delay();
    [[nodiscard]] connection& connection_of(store_call const& call) {
        return connections_[key_of(call).bytes[0] % connection_count];
    }

    surroundings& world_;
    store_server& server_;
    std::size_t process_;
    local_clock const& clock_;
    asio::any_io_executor executor_;
    entry enter_;
    std::map<std::uint64_t, pending_call> pending_;
    std::map<fencing_token, store_key> held_;
    reused_tokens reused_;
    std::array<connection, connection_count> connections_{};
    std::uint64_t next_ = 1;
    bool is_ending_ = false;
    bool is_dead_ = false;
};

}  // namespace idempo::simulation
