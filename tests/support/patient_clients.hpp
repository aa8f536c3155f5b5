// SPDX-License-Identifier: MIT
#pragma once

#include "support/http_client.hpp"
#include "support/orders_scene.hpp"
#include "support/requests.hpp"
#include "support/retry_limit.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace idempo::tests {

/// Clients that place one order after the other. Each sends its order under its key until it gets 201, whatever happens
/// before: the rule that makes retries safe.
class patient_clients {
public:
    patient_clients(std::uint16_t port, int count) : answers_(static_cast<std::size_t>(count)) {
        for (int number = 0; number < count; ++number) {
            threads_.emplace_back([this, port, number] { run(port, number); });
        }
    }
    patient_clients(patient_clients const&) = delete;
    patient_clients& operator=(patient_clients const&) = delete;
    ~patient_clients() {
        limit_.give_up();
        join();
    }

    /// Lets each finish its present order. \throws std::runtime_error if one cannot
    void stop() {
        limit_.stop();
        join();
        if (has_given_up_) throw std::runtime_error("an order was never answered");
    }

    [[nodiscard]] std::size_t answered() const noexcept { return answered_; }
    /// 409 and 503, other errors, and connections that ended.
    [[nodiscard]] std::size_t setbacks() const noexcept { return setbacks_; }

    /// After `stop`: key and response body of each order.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> answers() const {
        std::vector<std::pair<std::string, std::string>> all;
        for (auto const& each : answers_) all.insert(all.end(), each.begin(), each.end());
        return all;
    }

private:
    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void run(std::uint16_t port, int client) {
        std::optional<http_client> connection;
        for (int number = 0; !limit_.is_stopping(); ++number) {
            auto const key = std::to_string(client) + "-" + std::to_string(number);
            std::optional<std::string> body;
            while (!(body = try_once(connection, port, make_order(key, order_of(1 + number))))) {
                ++setbacks_;
                if (limit_.is_over()) {
                    has_given_up_ = true;
                    return;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
            answers_[static_cast<std::size_t>(client)].emplace_back(key, *body);
            ++answered_;
        }
    }

    static std::optional<std::string> try_once(std::optional<http_client>& connection, std::uint16_t port,
                                               text_request const& order) {
        try {
            if (!connection) connection.emplace(port);
            auto const answer = connection->exchange(order);
            if (!answer.keep_alive()) connection.reset();
            if (answer.result_int() == 201) return answer.body();
        } catch (std::exception const&) {  // the other end has been killed
            connection.reset();
        }
        return std::nullopt;
    }

    retry_limit limit_;
    std::atomic<bool> has_given_up_{false};
    std::atomic<std::size_t> answered_{0};
    std::atomic<std::size_t> setbacks_{0};
    std::vector<std::vector<std::pair<std::string, std::string>>> answers_;
    std::vector<std::thread> threads_;
};

}  // namespace idempo::tests
