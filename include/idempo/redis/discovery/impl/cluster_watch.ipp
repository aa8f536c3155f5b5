// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/cluster_watch.hpp>

#include <idempo/redis/connection/credentials.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <random>
#include <utility>

namespace idempo::redis {

namespace {

/// In one probe, however large the cluster is.
constexpr std::size_t max_asked = 16;

/// Of `connect_timeout`, which each node has: one that has stopped must not use up the time of the others.
constexpr int part_of_timeout = 4;

/// For so long a node that was silent is asked after the others.
constexpr auto lately = 4 * detail::backoff::longest;

time_point now() { return std::chrono::steady_clock::now(); }

bool contains(std::vector<redis_endpoint> const& all, redis_endpoint const& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

cluster_watch::cluster_watch(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup,
                             on_map tell)
    : setup_(std::move(setup)),
      tell_(std::move(tell)),
      strand_(asio::make_strand(executor)),
      backoff_(std::random_device{}()),
      timer_(strand_) {}

template <class Then>
void cluster_watch::post(Then then) {
    asio::post(strand_, [self = shared_from_this(), then = std::move(then)]() mutable {
        if (!self->has_ended_) then(*self);
    });
}

void cluster_watch::start() {
    post([](cluster_watch& self) { self.ask_soon(); });
}

void cluster_watch::end() {
    post([](cluster_watch& self) {
        self.has_ended_ = true;
        if (self.probe_) self.probe_->cancel();
        self.probe_.reset();
        self.waiting_.clear();
        self.timer_.cancel();
    });
}

void cluster_watch::report_failure(redis_endpoint const& node) {
    post([node](cluster_watch& self) {
        self.remember_silence(node);
        self.extend_search();
        self.ask_soon();
    });
}

void cluster_watch::report_moved(redis_endpoint const& node) {
    post([node](cluster_watch& self) {
        self.first_ = node;
        self.ask_soon();
    });
}

void cluster_watch::report_gap() {
    post([](cluster_watch& self) {
        self.extend_search();
        self.ask_soon();
    });
}

void cluster_watch::resolve(strand const& executor, server_resolver::on_resolved done) {
    post([executor, done = std::move(done)](cluster_watch& self) mutable {
        self.waiting_.push_back({executor, std::move(done)});
        self.known_ ? self.tell_waiting() : self.ask_soon();
    });
}

void cluster_watch::ask_soon() {
    asks_again_ = true;
    if (probe_ || is_pausing_) return;
    if (now() > not_before_ + detail::backoff::longest) backoff_.reset();
    is_pausing_ = true;
    timer_.expires_at(not_before_);
    timer_.async_wait([weak = weak_from_this()](error_code is_cancelled) {
        auto const self = weak.lock();
        if (!self || is_cancelled || self->has_ended_) return;
        self->is_pausing_ = false;
        self->ask();
    });
}

void cluster_watch::ask() {
    asks_again_ = false;
    best_.reset();
    auto const& options = setup_->options;
    redis_credentials login;
    try {
        login = read_credentials(options);
    } catch (std::exception const&) {  // without them a node refuses, as it would with wrong ones
    }
    question asked{.servers = whom_to_ask(),
                   .user = login.user,
                   .password = login.password,
                   .tls = setup_->tls,
                   .names = setup_->names,
                   .words = {"CLUSTER", "SLOTS"},
                   .timeout = options.connect_timeout / part_of_timeout,
                   .max_array_elements = slot_map::max_array_elements};
    auto const servers = asked.servers;
    auto const accept = [weak = weak_from_this()](reply_view answer, redis_endpoint const& from) {
        auto const self = weak.lock();
        auto found = slot_map::read(answer, from);
        if (!self || !found || found->covered() == 0) return false;
        if (!self->best_ || found->covered() > self->best_->covered()) self->best_ = std::move(found);
        return self->best_->is_complete();
    };
    auto const done = [weak = weak_from_this(), servers](std::optional<redis_endpoint> const& answered_by) {
        if (auto const self = weak.lock()) self->on_answer(servers, answered_by);
    };
    probe_ = probe::start(strand_, std::move(asked), accept, done);
}

// The one that is said to know, then the others in turn, and those last that have said nothing lately. One seed is
// always among them: where all nodes have other addresses now, only a seed can tell.
std::vector<redis_endpoint> cluster_watch::whom_to_ask() {
    auto const& seeds = setup_->options.cluster_nodes;
    std::vector<redis_endpoint> all;
    auto const add = [&all](redis_endpoint const& node) {
        if (!contains(all, node)) all.push_back(node);
    };
    if (known_) std::for_each(known_->primaries().begin(), known_->primaries().end(), add);
    if (known_) std::for_each(known_->replicas().begin(), known_->replicas().end(), add);
    std::for_each(seeds.begin(), seeds.end(), add);

    auto const turn = turn_++;
    auto const next = static_cast<std::ptrdiff_t>(turn % all.size());
    std::rotate(all.begin(), all.begin() + next, all.end());
    std::stable_partition(all.begin(), all.end(), [this](auto const& node) { return !is_silent(node); });
    if (auto const first = std::exchange(first_, std::nullopt)) {
        std::erase(all, *first);
        all.insert(all.begin(), *first);
    }
    if (all.size() <= max_asked) return all;
    all.resize(max_asked);
    bool const has_seed = std::any_of(all.begin(), all.end(), [&](auto const& node) { return contains(seeds, node); });
    if (!has_seed) all.back() = seeds[turn % seeds.size()];
    return all;
}

void cluster_watch::on_answer(std::vector<redis_endpoint> const& asked,
                              std::optional<redis_endpoint> const& answered_by) {
    probe_.reset();
    for (auto const& node : asked) {
        if (node == answered_by) break;
        remember_silence(node);
    }
    not_before_ = now() + backoff_.next() / 2;
    if (best_) {
        known_ = std::exchange(best_, std::nullopt);
        tell_(*known_);
    } else {
        asks_again_ = true;
        // At the start the connection that waits for the map tells it.
        if (known_) setup_->report({redis_problem::no_cluster_known, {}, {}, {.host = {}, .port = 0}});
    }
    tell_waiting();
    if (asks_again_ || now() < search_ends_) ask_soon();
}

// Until the next attempt to connect has failed or not: a node that is gone is doubted once for each.
void cluster_watch::extend_search() {
    search_ends_ = now() + setup_->options.connect_timeout + 2 * detail::backoff::longest;
}

void cluster_watch::remember_silence(redis_endpoint const& node) {
    auto const since = now();
    std::erase_if(silent_, [&](auto const& each) { return each.endpoint == node || each.since + lately < since; });
    silent_.push_back({node, since});
}

bool cluster_watch::is_silent(redis_endpoint const& node) const {
    return std::any_of(silent_.begin(), silent_.end(), [&, since = now() - lately](auto const& each) {
        return each.endpoint == node && each.since > since;
    });
}

void cluster_watch::tell_waiting() {
    auto const problem = known_ ? redis_problem::none : redis_problem::no_cluster_known;
    auto const primary = known_ ? known_->primaries().front() : redis_endpoint{.host = {}, .port = 0};
    for (auto& each : std::exchange(waiting_, {})) {
        asio::post(each.executor, [done = std::move(each.done), problem, primary] { done(problem, primary); });
    }
}

}  // namespace idempo::redis
