// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/client.hpp>

#include <idempo/postgres/connection/context_threads.hpp>
#include <idempo/postgres/queue/sweeper_thread.hpp>
#include <idempo/postgres/queue/worker.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

namespace idempo::postgres {

client::client(asio::any_io_executor const& executor, postgres_options options) {
    validate(options);
    auto const setup = std::make_shared<worker_setup const>(std::move(options));
    auto const& chosen = setup->options;
    dispatcher_ =
        std::make_shared<dispatcher>(executor, dispatcher::limits{chosen.workers, chosen.max_pending,
                                                                  chosen.max_pending_bytes, chosen.operation_timeout});

    auto& threads = asio::use_service<context_threads>(asio::query(executor, asio::execution::context));
    auto const start = [&](std::function<void()> run) {
        threads.start(std::move(run), [shared = dispatcher_] { shared->stop(); });
    };
    start([shared = dispatcher_] { shared->watch_deadlines(); });
    for (std::size_t number = 0; number < chosen.workers; ++number) {
        start([shared = dispatcher_, number, setup] { worker(shared, number, setup).run(); });
    }
    if (chosen.sweep_interval > std::chrono::milliseconds::zero()) {
        sweeper_ = std::make_shared<sweeper_thread>(chosen);
        threads.start([sweeping = sweeper_] { sweeping->run(); }, [sweeping = sweeper_] { sweeping->stop(); });
    }
}

client::~client() {
    if (sweeper_) sweeper_->stop();
    dispatcher_->finish();
}

}  // namespace idempo::postgres
