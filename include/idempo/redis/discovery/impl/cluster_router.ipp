// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/cluster_router.hpp>

#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/protocol/key_slot.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace idempo::redis {

namespace {

/// Of one operation: a slot that moves takes two, ASK and MOVED.
constexpr unsigned max_redirections = 5;

/// Nodes that are not in the map. There are some while slots move to a new node.
constexpr std::size_t max_others = 64;

/// What the connections know of the router. They must not keep it alive.
class cluster_resolver : public server_resolver {
public:
    explicit cluster_resolver(std::weak_ptr<cluster_router> router) : router_(std::move(router)) {}

    void report_failure(redis_endpoint const& node) override {
        if (auto const router = router_.lock()) router->watch().report_failure(node);
    }

    void redirect(std::unique_ptr<operation> redirected, redirection const& where) override {
        auto const router = router_.lock();
        router ? router->redirect(std::move(redirected), where)
               : server_resolver::redirect(std::move(redirected), where);
    }

protected:
    std::weak_ptr<cluster_router> router_;
};

class node_resolver final : public cluster_resolver {
public:
    node_resolver(std::weak_ptr<cluster_router> router, redis_endpoint endpoint)
        : cluster_resolver(std::move(router)),
          endpoint_(std::move(endpoint)) {}

    void resolve(strand const&, on_resolved done) override { done(redis_problem::none, endpoint_); }

private:
    redis_endpoint endpoint_;
};

/// Waits for the first map.
class first_resolver final : public cluster_resolver {
public:
    using cluster_resolver::cluster_resolver;

    void resolve(strand const& executor, on_resolved done) override {
        if (auto const router = router_.lock()) router->watch().resolve(executor, std::move(done));
    }
};

}  // namespace

cluster_router::cluster_router(asio::any_io_executor executor, std::shared_ptr<connection_setup const> setup)
    : executor_(std::move(executor)),
      setup_(std::move(setup)) {}

void cluster_router::start() {
    watch_ = std::make_shared<cluster_watch>(executor_, setup_, [weak = weak_from_this()](slot_map const& map) {
        if (auto const self = weak.lock()) self->use(map);
    });
    auto const first =
        std::make_shared<connection>(executor_, setup_, std::make_shared<first_resolver>(weak_from_this()));
    seed_connection_ = first;
    watch_->start();
    first->start();
}

cluster_router::~cluster_router() {
    if (watch_) watch_->end();
    auto const end = [](weak_connection const& each) {
        if (auto const target = each.lock()) target->end();
    };
    end(seed_connection_);
    std::for_each(connections_.begin(), connections_.end(), end);
    for (auto const& each : others_) end(each.target);
}

void cluster_router::submit(std::unique_ptr<operation> submitted) {
    auto const target = connection_for(*submitted);
    if (!target) {
        watch_->report_gap();
        return submitted->fail(error::store_unavailable);
    }
    submitted->kept_alive = shared_from_this();
    target->submit(std::move(submitted));
}

cluster_router::connection_ptr cluster_router::connection_for(operation const& submitted) {
    auto const slot = submitted.slot();
    std::lock_guard const lock(mutex_);
    if (!map_) return seed_connection_.lock();
    auto const primary = map_->primary_of(slot);
    return primary ? connection_to_primary(*primary) : nullptr;
}

cluster_router::connection_ptr cluster_router::connection_to_primary(std::size_t number) {
    auto target = connections_[number].lock();
    if (!target) connections_[number] = target = make_connection(map_->primaries()[number]);
    return target;
}

std::optional<std::uint16_t> cluster_router::next_primary(std::uint16_t slot) const {
    std::lock_guard const lock(mutex_);
    if (!map_) return slot == 0 ? std::optional<std::uint16_t>(slot) : std::nullopt;
    return map_->next_primary(slot);
}

void cluster_router::redirect(std::unique_ptr<operation> redirected, redirection const& where) {
    if (++redirected->redirections > max_redirections) return redirected->fail(error::store_unavailable);
    redirected->asks = where.why == redirection::kind::ask;
    bool is_news = false;
    connection_ptr target;
    {
        std::lock_guard const lock(mutex_);
        auto const primary = map_ ? map_->primary_of(where.slot) : std::nullopt;
        is_news = !redirected->asks && (!primary || map_->primaries()[*primary] != where.to);
        target = connection_to(where.to);
    }
    if (is_news) watch_->report_moved(where.to);
    target ? target->submit(std::move(redirected)) : redirected->fail(error::store_unavailable);
}

cluster_router::connection_ptr cluster_router::connection_to(redis_endpoint const& endpoint) {
    if (map_) {
        auto const& primaries = map_->primaries();
        auto const found = std::find(primaries.begin(), primaries.end(), endpoint);
        if (found != primaries.end()) {
            return connection_to_primary(static_cast<std::size_t>(std::distance(primaries.begin(), found)));
        }
    }
    for (auto const& each : others_) {
        if (each.endpoint == endpoint) return each.target.lock();
    }
    if (others_.size() == max_others) return nullptr;
    auto target = make_connection(endpoint);
    others_.push_back({endpoint, target});
    return target;
}

cluster_router::connection_ptr cluster_router::make_connection(redis_endpoint const& endpoint) {
    auto target =
        std::make_shared<connection>(executor_, setup_, std::make_shared<node_resolver>(weak_from_this(), endpoint));
    target->start();
    return target;
}

void cluster_router::use(slot_map const& map) {
    std::vector<node> before;
    {
        std::lock_guard const lock(mutex_);
        before = std::exchange(others_, {});
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            before.push_back({map_->primaries()[i], connections_[i]});
        }
        before.push_back({{.host = {}, .port = 0}, std::exchange(seed_connection_, {})});
        map_ = map;
        connections_.assign(map.primaries().size(), {});
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            auto const kept = std::find_if(before.begin(), before.end(),
                                           [&](node const& each) { return each.endpoint == map.primaries()[i]; });
            if (kept != before.end()) connections_[i] = std::exchange(kept->target, {});
        }
    }
    auto const submit_again = [weak = weak_from_this()](std::unique_ptr<operation> unsent) {
        auto const self = weak.lock();
        self ? self->submit(std::move(unsent)) : unsent->fail(error::store_unavailable);
    };
    for (auto const& each : before) {
        if (auto const target = each.target.lock()) target->hand_over(submit_again);
    }
}

}  // namespace idempo::redis
