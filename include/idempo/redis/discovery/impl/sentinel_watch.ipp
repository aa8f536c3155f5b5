// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_watch.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <optional>
#include <random>
#include <string>
#include <utility>

namespace idempo::redis {

sentinel_watch::sentinel_watch(asio::any_io_executor const& executor, std::shared_ptr<sentinel_group const> group,
                               on_primary tell, on_silence report_silence)
    : group_(std::move(group)),
      tell_(std::move(tell)),
      on_silence_(std::move(report_silence)),
      strand_(asio::make_strand(executor)),
      backoff_(std::random_device{}()),
      timer_(strand_) {}

void sentinel_watch::start() {
    asio::post(strand_, [self = shared_from_this()] { self->subscribe(); });
}

void sentinel_watch::end() {
    asio::post(strand_, [self = shared_from_this()] {
        self->has_ended_ = true;
        self->drop_link();
        self->timer_.cancel();
        self->tell_ = nullptr;
        self->on_silence_ = nullptr;
    });
}

void sentinel_watch::subscribe() {
    if (has_ended_) return;
    reader_ = std::make_unique<reply_reader>();
    transport_ =
        make_transport(strand_, group_->options.endpoints[sentinel_], {group_->names, group_->tls, group_->keep_alive});
    set_timer(group_->keep_alive, [this] { give_up(); });
    transport_->connect([self = shared_from_this(), used = transport_](error_code error) {
        if (used != self->transport_) return;
        if (error) return self->give_up();
        self->write(subscription(self->group_->options));
        self->read_more();
    });
}

void sentinel_watch::write(std::string bytes) {
    is_writing_ = true;
    auto const kept = std::make_shared<std::string const>(std::move(bytes));
    transport_->write(*kept, [self = shared_from_this(), used = transport_, kept](error_code, std::size_t) {
        if (used == self->transport_) self->is_writing_ = false;  // the reader says so, too, if it has failed
    });
}

void sentinel_watch::read_more() {
    transport_->read(asio::buffer(incoming_),
                     [self = shared_from_this(), used = transport_](error_code error, std::size_t size) {
                         if (used != self->transport_) return;
                         if (error) return self->give_up();
                         self->on_bytes({self->incoming_.data(), size});
                     });
}

void sentinel_watch::on_bytes(std::string_view bytes) {
    is_heard_ = true;
    reader_->feed(bytes);
    while (auto const message = reader_->next()) {
        auto const news = read_news(reply_view(message.get()), group_->options.primary_name);
        if (news.what == sentinel_news::kind::malformed) return give_up();
        if (news.what == sentinel_news::kind::subscribed) listen();
        if (news.what == sentinel_news::kind::promoted) compare();
        if (news.what == sentinel_news::kind::moved) tell_(news.primary);
    }
    reader_->is_broken() ? give_up() : read_more();
}

void sentinel_watch::listen() {
    subscribed_since_ = std::chrono::steady_clock::now();
    compare();
    keep_alive();
}

void sentinel_watch::compare() {
    if (comparison_) comparison_->cancel();
    auto const said = std::make_shared<redis_endpoint>();
    auto const accept = [said](reply_view answer, redis_endpoint const&) {
        auto const primary = read_primary(answer);
        if (primary) *said = *primary;
        return primary.has_value();
    };
    // Not shared: the comparison is a member of what would be kept alive, also when the context is destroyed early.
    auto const done = [weak = weak_from_this(), used = std::weak_ptr(transport_), said](auto const& answered_by) {
        auto const self = weak.lock();
        if (!self || used.lock() != self->transport_) return;
        if (!answered_by) return self->give_up();
        self->failures_ = 0;
        self->tell_(*said);
    };
    comparison_ = probe::start(strand_, where_is_primary(*group_, sentinel_, 1), accept, done);
}

void sentinel_watch::keep_alive() {
    set_timer(group_->keep_alive, [this] {
        if (is_writing_ || !std::exchange(is_heard_, false)) return give_up();
        std::string ping;
        append_command(ping, {"PING"});
        write(std::move(ping));
        keep_alive();
    });
}

void sentinel_watch::drop_link() {
    if (transport_) transport_->close();
    transport_.reset();
    if (comparison_) comparison_->cancel();
    comparison_.reset();
    is_writing_ = false;
}

void sentinel_watch::give_up() {
    // Only one that has worked for a while is a reason to be quick again.
    bool const has_worked = failures_ == 0 && comparison_;
    if (has_worked && std::chrono::steady_clock::now() - subscribed_since_ > detail::backoff::longest) backoff_.reset();
    drop_link();
    sentinel_ = (sentinel_ + 1) % group_->options.endpoints.size();
    if (++failures_ == group_->options.endpoints.size()) on_silence_();
    set_timer(backoff_.next(), [this] { subscribe(); });
}

template <class Then>
void sentinel_watch::set_timer(std::chrono::milliseconds span, Then then) {
    timer_.expires_after(span);
    timer_.async_wait([self = shared_from_this(), then, used = transport_](error_code is_cancelled) {
        if (!is_cancelled && used == self->transport_ && !self->has_ended_) then();
    });
}

}  // namespace idempo::redis
