// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/dispatcher.hpp>
#include <idempo/postgres/queue/operation.hpp>
#include <idempo/postgres/queue/sweeper_thread.hpp>

#include <idempo/postgres/options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace idempo::postgres {

/// What the copies of a store share. Its threads outlive it until nothing is pending.
class client {
public:
    /// \throws std::invalid_argument where the options make no sense
    client(asio::any_io_executor const& executor, postgres_options options);
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client();

    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return dispatcher_->executor(); }
    void submit(operation_ptr submitted) { dispatcher_->submit(std::move(submitted)); }

private:
    std::shared_ptr<dispatcher> dispatcher_;
    std::shared_ptr<sweeper_thread> sweeper_;
};

}  // namespace idempo::postgres
