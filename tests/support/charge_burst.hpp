// SPDX-License-Identifier: MIT
#pragma once

#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/requests.hpp"

#include <cstddef>
#include <latch>
#include <thread>
#include <vector>

namespace idempo::tests {

/// Sends the same request over several connections at once to each of two servers. Returns the statuses.
inline std::vector<unsigned> burst(charge_scene& one, charge_scene& other, text_request const& request) {
    constexpr std::size_t connections = 10;
    constexpr std::size_t requests_each = 100;
    std::vector<std::vector<unsigned>> statuses(connections);
    std::latch all_connected(connections);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < connections; ++i) {
            threads.emplace_back([&, i] {
                http_client client(i % 2 == 0 ? one.server.port() : other.server.port());
                all_connected.arrive_and_wait();
                for (std::size_t sent = 0; sent < requests_each; ++sent) {
                    statuses[i].push_back(client.exchange(request).result_int());
                }
            });
        }
    }
    std::vector<unsigned> all;
    for (auto const& some : statuses) all.insert(all.end(), some.begin(), some.end());
    return all;
}

}  // namespace idempo::tests
