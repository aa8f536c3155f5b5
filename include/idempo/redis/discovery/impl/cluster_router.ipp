#pragma once

#include <idempo/redis/discovery/cluster_router.hpp>

#include <idempo/redis/connection/locator.hpp>
#include <idempo/redis/protocol/key_slot.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace idempo::redis {

namespace {

/// Of one operation: a slot that moves takes two, ASK and MOVED.
constexpr unsigned most_redirections = 5;

/// Nodes that are not in the map. There are some while slots move to a new node.
constexpr std::size_t most_others = 64;

/// What the connections know of the router. They must not keep it alive.
class cluster_locator : public locator {
public:
    explicit cluster_locator(std::weak_ptr<cluster_router> router) : router_(std::move(router)) {}

    void doubt(redis_endpoint const& node) override {
        if (auto const router = router_.lock()) router->watch().doubt(node);
    }

    void redirect(std::unique_ptr<operation> misdirected, redirection const& where) override {
        auto const router = router_.lock();
        router ? router->redirect(std::move(misdirected), where) : locator::redirect(std::move(misdirected), where);
    }

protected:
    std::weak_ptr<cluster_router> router_;
};

class node_locator final : public cluster_locator {
public:
    node_locator(std::weak_ptr<cluster_router> router, redis_endpoint endpoint)
        : cluster_locator(std::move(router)),
          endpoint_(std::move(endpoint)) {}

    void locate(strand const&, on_located done) override { done(redis_problem::none, endpoint_); }

private:
    redis_endpoint endpoint_;
};

/// Waits for the first map.
class first_locator final : public cluster_locator {
public:
    using cluster_locator::cluster_locator;

    void locate(strand const& executor, on_located done) override {
        if (auto const router = router_.lock()) router->watch().locate(executor, std::move(done));
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
        std::make_shared<connection>(executor_, setup_, std::make_shared<first_locator>(weak_from_this()));
    first_way_ = first;
    watch_->start();
    first->start();
}

cluster_router::~cluster_router() {
    if (watch_) watch_->end();
    auto const end = [](way_if_any const& each) {
        if (auto const there = each.lock()) there->end();
    };
    end(first_way_);
    std::for_each(ways_.begin(), ways_.end(), end);
    for (auto const& each : others_) end(each.there);
}

void cluster_router::submit(std::unique_ptr<operation> submitted) {
    auto const there = way_for(*submitted);
    if (!there) {
        watch_->miss();
        return submitted->fail(error::store_unavailable);
    }
    submitted->kept_alive = shared_from_this();
    there->submit(std::move(submitted));
}

cluster_router::way cluster_router::way_for(operation const& submitted) {
    auto const slot = key_slot(submitted.server_key());
    std::lock_guard const lock(mutex_);
    if (!map_) return first_way_.lock();
    auto const primary = map_->primary_of(slot);
    return primary ? way_to_primary(*primary) : nullptr;
}

cluster_router::way cluster_router::way_to_primary(std::size_t number) {
    auto there = ways_[number].lock();
    if (!there) ways_[number] = there = make_way(map_->primaries()[number]);
    return there;
}

void cluster_router::redirect(std::unique_ptr<operation> misdirected, redirection const& where) {
    if (++misdirected->redirections > most_redirections) return misdirected->fail(error::store_unavailable);
    misdirected->asks = where.why == redirection::kind::ask;
    bool is_news = false;
    way there;
    {
        std::lock_guard const lock(mutex_);
        auto const primary = map_ ? map_->primary_of(where.slot) : std::nullopt;
        is_news = !misdirected->asks && (!primary || map_->primaries()[*primary] != where.to);
        there = way_to(where.to);
    }
    if (is_news) watch_->move(where.to);
    there ? there->submit(std::move(misdirected)) : misdirected->fail(error::store_unavailable);
}

cluster_router::way cluster_router::way_to(redis_endpoint const& endpoint) {
    if (map_) {
        auto const& primaries = map_->primaries();
        auto const found = std::find(primaries.begin(), primaries.end(), endpoint);
        if (found != primaries.end()) {
            return way_to_primary(static_cast<std::size_t>(std::distance(primaries.begin(), found)));
        }
    }
    for (auto const& each : others_) {
        if (each.endpoint == endpoint) return each.there.lock();
    }
    if (others_.size() == most_others) return nullptr;
    auto there = make_way(endpoint);
    others_.push_back({endpoint, there});
    return there;
}

cluster_router::way cluster_router::make_way(redis_endpoint const& endpoint) {
    auto there =
        std::make_shared<connection>(executor_, setup_, std::make_shared<node_locator>(weak_from_this(), endpoint));
    there->start();
    return there;
}

void cluster_router::use(slot_map const& map) {
    std::vector<node> before;
    {
        std::lock_guard const lock(mutex_);
        before = std::exchange(others_, {});
        for (std::size_t i = 0; i < ways_.size(); ++i) {
            before.push_back({map_->primaries()[i], ways_[i]});
        }
        before.push_back({{.host = {}, .port = 0}, std::exchange(first_way_, {})});
        map_ = map;
        ways_.assign(map.primaries().size(), {});
        for (std::size_t i = 0; i < ways_.size(); ++i) {
            auto const kept = std::find_if(before.begin(), before.end(),
                                           [&](node const& each) { return each.endpoint == map.primaries()[i]; });
            if (kept != before.end()) ways_[i] = std::exchange(kept->there, {});
        }
    }
    auto const submit_again = [weak = weak_from_this()](std::unique_ptr<operation> unsent) {
        auto const self = weak.lock();
        self ? self->submit(std::move(unsent)) : unsent->fail(error::store_unavailable);
    };
    for (auto const& each : before) {
        if (auto const there = each.there.lock()) there->leave(submit_again);
    }
}

}  // namespace idempo::redis
