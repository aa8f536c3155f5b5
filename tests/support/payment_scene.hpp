// SPDX-License-Identifier: MIT
#pragma once

#include "support/http_client.hpp"
#include "support/retry_limit.hpp"
#include "support/server_process.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <csignal>

namespace idempo::tests {

/// The examples are built into a folder of their own, beside the tests.
inline std::string example_program(std::string const& name) {
    auto const servers = std::filesystem::path(IDEMPO_CHARGE_SERVER).parent_path();
    return (servers.parent_path().parent_path() / "examples" / name).string();
}

/// What the provider can do about a call that may have happened.
enum class provider_kind { knows_keys, can_be_asked, tells_nothing };

/// examples/payments: a provider that fails at random, and a server that is killed and started again, on a port that
/// changes each time.
class payment_scene {
public:
    payment_scene(std::string store, provider_kind kind, unsigned seed)
        : kind_(kind),
          flags_({"--store", std::move(store), "--lease", "2000"}),
          provider_(with_kind({"--faults", "30", "--seed", std::to_string(seed)}, kind),
                    example_program("payment_provider")) {
        flags_.insert(flags_.end(), {"--provider", std::to_string(provider_.port())});
        flags_ = with_kind(std::move(flags_), kind);
        start();
    }

    [[nodiscard]] provider_kind kind() const noexcept { return kind_; }

    [[nodiscard]] std::uint16_t port() const {
        std::lock_guard const lock(mutex_);
        return server_->port();
    }

    /// kill -9, and a new one.
    void restart() {
        server_->send_signal(SIGKILL);
        start();
    }

    /// Keeps the server from running, for longer than its leases perhaps.
    void stop_for(std::chrono::milliseconds span) {
        server_->send_signal(SIGSTOP);
        std::this_thread::sleep_for(span);  // the length of the stop
        server_->send_signal(SIGCONT);
    }

    /// How often the provider has had each effect, by operation and order.
    [[nodiscard]] std::map<std::string, int> effects() const {
        std::istringstream lines(http_client(provider_.port()).get("/effects").body());
        std::map<std::string, int> counted;
        int count = 0;
        std::string operation;
        std::string order;
        while (lines >> count >> operation >> order) counted[operation + " " + order] = count;
        return counted;
    }

private:
    static std::vector<std::string> with_kind(std::vector<std::string> flags, provider_kind kind) {
        if (kind != provider_kind::knows_keys) flags.emplace_back("--keyless");
        if (kind == provider_kind::tells_nothing) flags.emplace_back("--no-look-up");
        return flags;
    }

    void start() {
        auto started = std::make_unique<server_process>(flags_, example_program("payments_server"));
        std::lock_guard const lock(mutex_);
        server_.swap(started);
    }

    provider_kind kind_;
    std::vector<std::string> flags_;
    server_process provider_;
    mutable std::mutex mutex_;
    std::unique_ptr<server_process> server_;
};

/// Clients that pay one order after the other, and send each until it is paid: as SDKs do, only for longer. Where the
/// provider tells nothing, they leave an order whose outcome is unknown to a person.
class paying_clients {
public:
    enum class outcome { paid, unknown, open };

    paying_clients(payment_scene const& scene, int count) : scene_(scene) {
        for (int number = 0; number < count; ++number) threads_.emplace_back([this, number] { run(number); });
    }
    paying_clients(paying_clients const&) = delete;
    paying_clients& operator=(paying_clients const&) = delete;
    ~paying_clients() {
        limit_.give_up();
        join();
    }

    /// Lets each finish its present order.
    void stop() {
        limit_.stop();
        join();
    }

    [[nodiscard]] std::size_t paid() const noexcept { return paid_; }
    /// Orders that were left with an unknown outcome.
    [[nodiscard]] std::vector<std::string> unknown() const {
        std::lock_guard const lock(mutex_);
        return unknown_;
    }
    /// Requests whose answers nobody has read.
    [[nodiscard]] std::size_t hung_up() const noexcept { return hung_up_; }
    /// How often the answer was so: 0 where there was none.
    [[nodiscard]] std::size_t answers(unsigned status) const {
        std::lock_guard const lock(mutex_);
        auto const found = answers_.find(status);
        return found == answers_.end() ? 0 : found->second;
    }

private:
    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void run(int client) {
        std::mt19937 random(static_cast<unsigned>(client));
        for (int number = 0; !limit_.is_stopping(); ++number) {
            auto const order = std::to_string(client) + "-" + std::to_string(number);
            if (std::uniform_int_distribution<>(0, 3)(random) == 0) hang_up(order);
            auto came_of = pay(order);
            while (came_of == outcome::open) {
                if (limit_.is_over()) return;
                std::this_thread::sleep_for(std::chrono::milliseconds(50));  // between two tries, as an SDK does
                came_of = pay(order);
            }
            if (came_of == outcome::paid) ++paid_;
        }
    }

    /// As a client does whose connection breaks: it comes back.
    void hang_up(std::string const& order) {
        try {
            http_client client(scene_.port());
            client.send(make_post("/payments", order, order));
            client.reset();
            ++hung_up_;
        } catch (std::exception const&) {  // the server has been killed
        }
    }

    outcome pay(std::string const& order) {
        unsigned status = 0;
        std::string body;
        try {
            auto const answer = http_client(scene_.port()).post("/payments", order, order);
            status = answer.result_int();
            body = answer.body();
        } catch (std::exception const&) {  // the server has been killed
        }
        bool const nobody_knows = status == 409 && body.find("outcome-unknown") != std::string::npos;
        std::lock_guard const lock(mutex_);
        ++answers_[status];
        if (status == 201) return outcome::paid;
        if (!nobody_knows || scene_.kind() != provider_kind::tells_nothing) return outcome::open;
        unknown_.push_back(order);
        return outcome::unknown;
    }

    payment_scene const& scene_;
    retry_limit limit_;
    std::atomic<std::size_t> paid_{0};
    std::atomic<std::size_t> hung_up_{0};
    mutable std::mutex mutex_;
    std::map<unsigned, std::size_t> answers_;
    std::vector<std::string> unknown_;
    std::vector<std::thread> threads_;
};

}  // namespace idempo::tests
