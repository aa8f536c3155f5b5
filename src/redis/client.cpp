#include "redis/client.hpp"

#include <cstddef>
#include <utility>

namespace idempo::redis {

namespace {

std::shared_ptr<connection_setup const> make_setup(redis_options options) {
    validate(options);
    auto setup = std::make_shared<connection_setup>();
    if (options.tls) setup->tls = make_tls_context(*options.tls);
    setup->options = std::move(options);
    return setup;
}

}  // namespace

client::client(asio::any_io_executor executor, redis_options options)
    : executor_(std::move(executor)),
      setup_(make_setup(std::move(options))) {
    for (std::size_t made = 0; made < setup_->options.connections; ++made) {
        connections_.push_back(std::make_shared<connection>(executor_, setup_));
    }
    for (auto const& each : connections_) each->start();
}

client::~client() {
    for (auto const& each : connections_) each->end();
}

void client::submit(std::unique_ptr<operation> submitted) {
    auto const way = identifier_hash{}(submitted->key()) % connections_.size();
    connections_[way]->submit(std::move(submitted));
}

}  // namespace idempo::redis
