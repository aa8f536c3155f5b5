// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/primary_router.hpp>

#include <cstddef>
#include <utility>

namespace idempo::redis {

primary_router::primary_router(asio::any_io_executor const& executor,
                               std::shared_ptr<connection_setup const> const& setup,
                               std::shared_ptr<server_resolver> const& finds) {
    for (std::size_t made = 0; made < setup->options.connections; ++made) {
        connections_.push_back(std::make_shared<connection>(executor, setup, finds));
    }
    for (auto const& each : connections_) each->start();
}

primary_router::~primary_router() {
    for (auto const& each : connections_) each->end();
}

void primary_router::submit(std::unique_ptr<operation> submitted) {
    auto const number = identifier_hash{}(submitted->key()) % connections_.size();
    connections_[number]->submit(std::move(submitted));
}

}  // namespace idempo::redis
