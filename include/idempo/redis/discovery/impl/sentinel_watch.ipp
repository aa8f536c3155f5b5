// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_watch.hpp>

#include <boost/asio/post.hpp>

#include <optional>
#include <random>
#include <string>
#include <utility>

namespace idempo::redis {

sentinel_watch::sentinel_watch(asio::any_io_executor const& executor, std::shared_ptr<sentinel_group const> group,
                               on_primary tell, on_silence report_silence)
    : machine_runner(asio::make_strand(executor), group, std::random_device{}()),
      group_(std::move(group)),
      tell_(std::move(tell)),
      on_silence_(std::move(report_silence)) {}

void sentinel_watch::start() {
    asio::post(strand_,
               [self = shared_from_this()] { self->handle([](fsm& machine, time_point now) { machine.start(now); }); });
}

void sentinel_watch::end() {
    asio::post(strand_, [self = shared_from_this()] {
        self->handle([](fsm& machine, time_point) { machine.end(); });
        self->stop_timer();
        self->tell_ = nullptr;
        self->on_silence_ = nullptr;
    });
}

void sentinel_watch::perform(fsm::dial const& wanted) {
    transport_ = make_transport(strand_, wanted.sentinel, {group_->names, group_->tls, group_->keep_alive});
    transport_->connect(of_link([this, attempt = wanted.attempt](error_code error) {
        handle([&](fsm& machine, time_point now) {
            error ? machine.on_failed(attempt, now) : machine.on_connected(attempt, now);
        });
        if (transport_) read_more(attempt);
    }));
}

void sentinel_watch::read_more(std::uint64_t attempt) {
    transport_->read(
        asio::buffer(incoming_), of_link([this, attempt](error_code error, std::size_t size) {
            handle([&](fsm& machine, time_point now) {
                error ? machine.on_failed(attempt, now) : machine.on_bytes(attempt, {incoming_.data(), size}, now);
            });
            if (transport_) read_more(attempt);
        }));
}

void sentinel_watch::perform(fsm::write& wanted) {
    auto const kept = std::make_shared<std::string const>(std::move(wanted.bytes));
    transport_->write(*kept, of_link([this, kept, attempt = wanted.attempt](error_code error, std::size_t) {
        if (error) return;  // the reader says so, too
        handle([&](fsm& machine, time_point) { machine.on_written(attempt); });
    }));
}

void sentinel_watch::perform(fsm::compare const& wanted) {
    if (comparison_) comparison_->cancel();
    auto const said = std::make_shared<redis_endpoint>();
    auto const accept = [said](reply_view answer, redis_endpoint const&) {
        auto const primary = read_primary(answer);
        if (primary) *said = *primary;
        return primary.has_value();
    };
    // Not shared: the comparison is a member of what would be kept alive, also when the context is destroyed early.
    auto const done = [weak = weak_from_this(), said, attempt = wanted.attempt](auto const& answered_by) {
        auto const self = weak.lock();
        if (!self) return;
        auto const primary = answered_by ? std::optional(*said) : std::nullopt;
        self->handle([&](fsm& machine, time_point now) { machine.on_compared(attempt, primary, now); });
    };
    comparison_ = probe::start(strand_, where_is_primary(*group_, wanted.sentinel, 1), accept, done);
}

void sentinel_watch::perform(fsm::hang_up const&) {
    runner::hang_up();
    if (comparison_) comparison_->cancel();
    comparison_.reset();
}

void sentinel_watch::perform(fsm::tell const& wanted) {
    if (tell_) tell_(wanted.primary);
}

void sentinel_watch::perform(fsm::tell_silence const&) {
    if (on_silence_) on_silence_();
}

}  // namespace idempo::redis
