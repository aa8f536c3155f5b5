// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/cluster_watch.hpp>

#include <idempo/redis/connection/credentials.hpp>

#include <boost/asio/post.hpp>

#include <exception>
#include <optional>
#include <random>
#include <utility>

namespace idempo::redis {

namespace {

/// Of `connect_timeout`, which each node has: one that has stopped must not use up the time of the others.
constexpr int part_of_timeout = 4;

question which_slots(connection_setup const& setup, std::vector<redis_endpoint> nodes) {
    redis_credentials login;
    try {
        login = read_credentials(setup.options);
    } catch (std::exception const&) {  // without them a node refuses, as it would with wrong ones
    }
    return {.servers = std::move(nodes),
            .user = login.user,
            .password = login.password,
            .tls = setup.tls,
            .names = setup.names,
            .words = {"CLUSTER", "SLOTS"},
            .timeout = setup.options.connect_timeout / part_of_timeout,
            .max_array_elements = slot_map::max_array_elements};
}

}  // namespace

cluster_watch::cluster_watch(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup,
                             on_map tell)
    : machine_runner(asio::make_strand(executor), setup->options.cluster_nodes, setup->options.connect_timeout,
                     std::random_device{}()),
      setup_(std::move(setup)),
      tell_(std::move(tell)) {}

template <class Event>
void cluster_watch::post(Event event) {
    asio::post(strand_, [self = shared_from_this(), event = std::move(event)] { self->handle(event); });
}

void cluster_watch::start() {
    post([](fsm& machine, time_point now) { machine.start(now); });
}

void cluster_watch::end() {
    asio::post(strand_, [self = shared_from_this()] {
        self->handle([](fsm& machine, time_point) { machine.end(); });
        if (self->probe_) self->probe_->cancel();
        self->probe_.reset();
        self->waiting_.clear();
        self->stop_timer();
    });
}

void cluster_watch::report_failure(redis_endpoint const& node) {
    post([node](fsm& machine, time_point now) { machine.on_doubt(node, now); });
}

void cluster_watch::report_moved(redis_endpoint const& node) {
    post([node](fsm& machine, time_point now) { machine.on_moved(node, now); });
}

void cluster_watch::report_gap() {
    post([](fsm& machine, time_point now) { machine.on_gap(now); });
}

void cluster_watch::resolve(strand const& executor, server_resolver::on_resolved done) {
    asio::post(strand_, [self = shared_from_this(), executor, done = std::move(done)]() mutable {
        self->waiting_.push_back({executor, std::move(done)});
        self->handle([](fsm& machine, time_point now) { machine.on_wanted(now); });
    });
}

// The question does not keep this alive: it is a member, and would for ever when the context is destroyed early.
void cluster_watch::perform(fsm::ask const& wanted) {
    auto const accept = [weak = weak_from_this()](reply_view answer, redis_endpoint const& from) {
        auto const self = weak.lock();
        auto found = slot_map::read(answer, from);
        return self && found && self->machine_.accept(std::move(*found));
    };
    auto const done = [weak = weak_from_this()](std::optional<redis_endpoint> const& answered_by) {
        auto const self = weak.lock();
        if (self) self->handle([&](fsm& machine, time_point now) { machine.on_answer(answered_by, now); });
    };
    probe_ = probe::start(strand_, which_slots(*setup_, wanted.nodes), accept, done);
}

void cluster_watch::perform(fsm::tell const& wanted) { tell_(wanted.map); }

void cluster_watch::perform(fsm::serve_waiting const& wanted) {
    for (auto& each : std::exchange(waiting_, {})) {
        asio::post(each.executor, [done = std::move(each.done), wanted] { done(wanted.problem, wanted.primary); });
    }
}

void cluster_watch::perform(fsm::tell_unknown const&) {
    setup_->report({redis_problem::no_cluster_known, {}, {}, {.host = {}, .port = 0}});
}

}  // namespace idempo::redis
