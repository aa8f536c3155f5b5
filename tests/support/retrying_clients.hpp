// SPDX-License-Identifier: MIT
#pragma once

#include "support/charge_receipt.hpp"
#include "support/http_client.hpp"
#include "support/redis_cluster_scene.hpp"
#include "support/retry_limit.hpp"

#include <idempo/key.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace idempo::tests {

/// Which slots of a cluster keys may be in.
using slot_filter = std::function<bool(std::uint16_t)>;

/// A charge whose key is in one of these slots; uses the numbers up. No other charge has its amount if names end with
/// different letters.
inline charge_order next_charge(std::string const& name, std::size_t& number, slot_filter const& wanted) {
    while (true) {
        auto const key = name + '-' + std::to_string(++number);
        if (wanted(slot_of(idempo::make_store_key("", "", key)))) {
            return {key, number * 256 + static_cast<unsigned char>(name.back())};
        }
    }
}

/// What the clients have seen: the ids of each charge's responses, and responses to other requests.
class answer_book {
public:
    void add(charge_receipt const& answer) {
        std::lock_guard const lock(mutex_);
        charges_[answer.order.key] = answer.order;
        ids_[answer.order.key].insert(answer.id);
        wrong_ += answer.is_for_order ? 0 : 1;
        ++size_;
    }

    [[nodiscard]] std::size_t size() const {
        std::lock_guard const lock(mutex_);
        return size_;
    }
    [[nodiscard]] std::map<std::string, charge_order> all() const {
        std::lock_guard const lock(mutex_);
        return charges_;
    }
    [[nodiscard]] std::size_t wrong() const { return wrong_; }
    [[nodiscard]] std::size_t charges() const { return ids_.size(); }
    [[nodiscard]] std::size_t ids(std::string const& key) const { return ids_.at(key).size(); }

private:
    mutable std::mutex mutex_;
    std::map<std::string, charge_order> charges_;
    std::map<std::string, std::set<std::string>> ids_;
    std::size_t wrong_ = 0;
    std::size_t size_ = 0;
};

/// Clients that send each charge to one server until it is made, and then once more to the other; and that sometimes
/// repeat an older one.
class retrying_clients {
public:
    retrying_clients(std::vector<std::uint16_t> ports, std::size_t count, slot_filter wanted, answer_book& book)
        : ports_(std::move(ports)),
          wanted_(std::move(wanted)),
          book_(book) {
        for (std::size_t client = 0; client < count; ++client) threads_.emplace_back([this, client] { run(client); });
    }
    retrying_clients(retrying_clients const&) = delete;
    retrying_clients& operator=(retrying_clients const&) = delete;
    ~retrying_clients() {
        limit_.give_up();
        join();
    }

    /// Lets each finish its present charge. \throws std::runtime_error if one cannot
    void stop() {
        limit_.stop();
        join();
        if (has_given_up_) throw std::runtime_error("a charge was never answered");
    }

    /// Responses other than 201, and connections that ended.
    [[nodiscard]] std::size_t setbacks() const noexcept { return setbacks_; }

private:
    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void run(std::size_t client) {
        std::vector<std::optional<http_client>> connections(ports_.size());
        std::vector<charge_order> done;
        std::size_t number = 0;
        for (std::size_t round = client; !limit_.is_stopping(); ++round) {
            bool const asks_again = round % 4 == 0 && !done.empty();
            auto const charge = asks_again ? done[round % done.size()]
                                           : next_charge("client" + std::to_string(client), number, wanted_);
            for (std::size_t turn = 0; turn < ports_.size(); ++turn) {
                auto const server = (round + turn) % ports_.size();
                std::optional<charge_receipt> answer;
                while (!(answer = try_charge(connections[server], ports_[server], charge))) {
                    ++setbacks_;
                    if (limit_.is_over()) {
                        has_given_up_ = true;
                        return;
                    }
                    std::this_thread::sleep_for(20ms);
                }
                book_.add(*answer);
            }
            if (!asks_again) done.push_back(charge);
        }
    }

    std::vector<std::uint16_t> ports_;
    slot_filter wanted_;
    answer_book& book_;
    retry_limit limit_;
    std::atomic<bool> has_given_up_{false};
    std::atomic<std::size_t> setbacks_{0};
    std::vector<std::thread> threads_;
};

}  // namespace idempo::tests
