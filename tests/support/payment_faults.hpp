// SPDX-License-Identifier: MIT
#pragma once

#include "support/fault_proxy.hpp"
#include "support/payment_scene.hpp"
#include "support/poll_until.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <random>
#include <thread>
#include <utility>

namespace idempo::tests {

/// What has been done to the server, its store, and the network between them.
struct payment_faults {
    int kills = 0;
    int stops = 0;
    int outages = 0;
    std::size_t cuts = 0;  ///< connections
    int lost_answers = 0;  ///< how often answers were lost after the store had done the work
    int silences = 0;      ///< of a network with connections
    int distances = 0;     ///< how often the store was moved away
};

/// Does to the payments what may happen to them, while clients pay.
class payment_trouble {
public:
    /// \param network between the server and its store
    /// \param lose_store kills the store and starts it again
    payment_trouble(payment_scene& scene, paying_clients const& clients, fault_proxy& network,
                    std::function<void()> lose_store, unsigned seed)
        : scene_(scene),
          clients_(clients),
          network_(network),
          lose_store_(std::move(lose_store)),
          random_(seed) {}

    /// Kills the server, after pauses at random. In between each third time it is stopped, each third time its store is
    /// gone for a while, and the network fails in one of four ways.
    payment_faults make(int kills) {
        while (had_.kills < kills) {
            kill();
            if (had_.kills % 3 == 1) stop();
            if (had_.kills % 3 == 2) lose_store();
            fail_network();
        }
        network_.delay({});
        return had_;
    }

private:
    using milliseconds = std::chrono::milliseconds;

    int number(int least, int most) { return std::uniform_int_distribution<>(least, most)(random_); }

    /// A fault at a random moment is what the campaign is about.
    void pause(int most) { std::this_thread::sleep_for(milliseconds(number(0, most))); }

    /// Somebody gets through, so that every fault meets payments under way.
    void go_on(std::size_t before) const {
        for (int tries = 0; clients_.paid() == before && tries < 2000; ++tries) {
            std::this_thread::sleep_for(
                milliseconds(10));  // between two looks; where nobody does, the campaign goes on
        }
    }

    void kill() {
        auto const before = clients_.paid();
        pause(400);
        scene_.restart();
        ++had_.kills;
        go_on(before);
    }

    void stop() {
        auto const before = clients_.paid();
        scene_.stop_for(milliseconds(number(100, 2500)));
        ++had_.stops;
        go_on(before);
    }

    void lose_store() {
        auto const before = clients_.paid();
        pause(100);
        lose_store_();
        ++had_.outages;
        go_on(before);
    }

    void fail_network() {
        auto const before = clients_.paid();
        network_.delay({});
        switch (had_.kills % 4) {
        case 0: cut(); break;
        case 1: lose_answers(); break;
        case 2: be_silent(); break;
        default: move_away(); return;  // the next kill, too, is at a distance
        }
        go_on(before);
    }

    void cut() {
        for (int times = number(1, 10); times > 0; --times) {
            pause(50);
            std::size_t closed = 0;
            poll_until([&] { return (closed = network_.cut()) > 0; });
            had_.cuts += closed;
        }
    }

    /// The store does what it is asked for, and nobody hears of it.
    void lose_answers() {
        pause(100);
        network_.hold();
        poll_until([this] { return network_.held_bytes() > 0; });
        pause(100);
        network_.cut();
        network_.release();
        ++had_.lost_answers;
    }

    /// For longer than operations of the store may take, and than leases, or not.
    void be_silent() {
        pause(100);
        poll_until([this] {
            if (network_.lose_packets() > 0) return true;
            network_.deliver_packets();  // or nobody could ever connect
            return false;
        });
        pause(3000);
        network_.deliver_packets();
        ++had_.silences;
    }

    void move_away() {
        milliseconds const round_trip(number(0, 1) == 0 ? 3 : 30);
        network_.delay(round_trip, round_trip);
        ++had_.distances;
    }

    payment_scene& scene_;
    paying_clients const& clients_;
    fault_proxy& network_;
    std::function<void()> lose_store_;
    std::mt19937 random_;
    payment_faults had_;
};

}  // namespace idempo::tests
