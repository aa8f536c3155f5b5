// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_router.hpp>

#include <idempo/redis/discovery/sentinel_resolver.hpp>

#include <utility>

namespace idempo::redis {

sentinel_router::sentinel_router(asio::any_io_executor const& executor,
                                 std::shared_ptr<connection_setup const> const& setup,
                                 std::shared_ptr<sentinel_group const> const& group)
    : primary_(executor, setup, std::make_shared<sentinel_resolver>(group)) {
    auto const tell = [connections = primary_.connections()](redis_endpoint const& primary) {
        for (auto const& each : connections) each->move_to(primary);
    };
    auto const report_silence = [setup] {
        setup->report({redis_problem::no_sentinel, {}, {}, {.host = {}, .port = 0}});
    };
    watch_ = std::make_shared<sentinel_watch>(executor, group, tell, report_silence);
    watch_->start();
}

sentinel_router::~sentinel_router() { watch_->end(); }

}  // namespace idempo::redis
