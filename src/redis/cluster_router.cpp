#include "redis/cluster_router.hpp"

#include "redis/key_slot.hpp"
#include "redis/locator.hpp"

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
    first_way_ = std::make_shared<connection>(executor_, setup_, std::make_shared<first_locator>(weak_from_this()));
    watch_->start();
    first_way_->start();
}

cluster_router::~cluster_router() {
    if (watch_) watch_->end();
    if (first_way_) first_way_->end();
    for (auto const& each : ways_) {
        if (each) each->end();
    }
    for (auto const& each : others_) each.there->end();
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
    if (!map_) return first_way_;
    auto const primary = map_->primary_of(slot);
    if (!primary) return nullptr;
    if (!ways_[*primary]) ways_[*primary] = make_way(map_->primaries()[*primary]);
    return ways_[*primary];
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
            auto& there = ways_[static_cast<std::size_t>(std::distance(primaries.begin(), found))];
            if (!there) there = make_way(endpoint);
            return there;
        }
    }
    for (auto const& each : others_) {
        if (each.endpoint == endpoint) return each.there;
    }
    if (others_.size() == most_others) return nullptr;
    return others_.emplace_back(node{endpoint, make_way(endpoint)}).there;
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
            if (ways_[i]) before.push_back({map_->primaries()[i], std::move(ways_[i])});
        }
        if (first_way_) before.push_back({{.host = {}, .port = 0}, std::move(first_way_)});
        first_way_ = nullptr;
        map_ = map;
        ways_.assign(map.primaries().size(), nullptr);
        for (std::size_t i = 0; i < ways_.size(); ++i) {
            auto const kept = std::find_if(before.begin(), before.end(),
                                           [&](node const& each) { return each.endpoint == map.primaries()[i]; });
            if (kept != before.end()) ways_[i] = std::move(kept->there);
        }
    }
    auto const submit_again = [weak = weak_from_this()](std::unique_ptr<operation> unsent) {
        auto const self = weak.lock();
        self ? self->submit(std::move(unsent)) : unsent->fail(error::store_unavailable);
    };
    for (auto const& each : before) {
        if (each.there) each.there->leave(submit_again);
    }
}

}  // namespace idempo::redis
