// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_resolver.hpp>

#include <idempo/redis/discovery/probe.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace idempo::redis {

namespace {

/// What has become of the question so far.
struct finding {
    redis_problem problem = redis_problem::no_sentinel;
    redis_endpoint server{.host = {}, .port = 0};
};

}  // namespace

void sentinel_resolver::resolve(strand const& executor, on_resolved done) {
    auto found = std::make_shared<finding>();
    auto const accept = [found](reply_view answer, redis_endpoint const&) {
        auto const primary = read_primary(answer);
        if (primary) *found = {redis_problem::none, *primary};
        if (!primary) found->problem = problem_of(answer);
        return primary.has_value();
    };
    auto const tell = [self = shared_from_this(), found, done](std::optional<redis_endpoint> const& sentinel) {
        if (sentinel) self->remember(*sentinel);
        done(found->problem, found->server);
    };
    probe::start(executor, where_is_primary(*group_, first_, group_->options.endpoints.size()), accept, tell);
}

void sentinel_resolver::report_failure(redis_endpoint const& server) {
    if (!server.host.empty()) ++first_;
}

void sentinel_resolver::remember(redis_endpoint const& sentinel) {
    auto const& all = group_->options.endpoints;
    first_ = static_cast<std::size_t>(std::find(all.begin(), all.end(), sentinel) - all.begin());
}

}  // namespace idempo::redis
