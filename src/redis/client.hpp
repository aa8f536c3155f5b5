#pragma once

#include "redis/connection.hpp"

#include <idempo/redis_options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace idempo::redis {

/// What the copies of a redis_store share: its connections. When the last copy goes, what is pending is still
/// answered, and then they close; nothing waits for that.
class client {
public:
    /// \throws std::invalid_argument
    client(asio::any_io_executor executor, redis_options options);
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client();

    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return executor_; }
    [[nodiscard]] std::string_view prefix() const noexcept { return setup_->options.prefix; }

    /// All operations of a key take the same way, and with it keep their order.
    void submit(std::unique_ptr<operation> submitted);

private:
    asio::any_io_executor executor_;
    std::shared_ptr<connection_setup const> setup_;
    std::vector<std::shared_ptr<connection>> connections_;
};

}  // namespace idempo::redis
