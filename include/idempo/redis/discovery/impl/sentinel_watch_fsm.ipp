// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/sentinel_watch_fsm.hpp>

namespace idempo::redis {

void sentinel_watch_fsm::start(time_point now) {
    if (state_ == state::pausing && attempt_ == 0) begin_attempt(now);
}

void sentinel_watch_fsm::begin_attempt(time_point now) {
    state_ = state::dialling;
    reader_ = std::make_unique<reply_reader>();
    is_writing_ = false;
    due_ = now + group_->keep_alive;
    act(dial{++attempt_, group_->options.endpoints[sentinel_]});
}

void sentinel_watch_fsm::on_connected(std::uint64_t attempt, time_point) {
    if (attempt != attempt_ || state_ != state::dialling) return;
    state_ = state::subscribing;
    send(subscription(group_->options));
}

void sentinel_watch_fsm::on_written(std::uint64_t attempt) {
    if (is_linked(attempt)) is_writing_ = false;
}

void sentinel_watch_fsm::on_bytes(std::uint64_t attempt, std::string_view bytes, time_point now) {
    if (!is_linked(attempt)) return;
    is_heard_ = true;
    reader_->feed(bytes);
    while (auto const message = reader_->next()) {
        auto const news = read_news(reply_view(message.get()), group_->options.primary_name);
        if (news.what == sentinel_news::kind::malformed) return give_up(now);
        if (news.what == sentinel_news::kind::subscribed) listen(now);
        if (news.what == sentinel_news::kind::promoted) act(compare{attempt_, sentinel_});
        if (news.what == sentinel_news::kind::moved) act(tell{news.primary});
    }
    if (reader_->is_broken()) give_up(now);
}

// What changed before is not missed.
void sentinel_watch_fsm::listen(time_point now) {
    state_ = state::listening;
    subscribed_since_ = now;
    due_ = now + group_->keep_alive;
    act(compare{attempt_, sentinel_});
}

void sentinel_watch_fsm::on_compared(std::uint64_t attempt, std::optional<redis_endpoint> const& primary,
                                     time_point now) {
    if (!is_linked(attempt)) return;
    if (!primary) return give_up(now);
    failures_ = 0;
    act(tell{*primary});
}

void sentinel_watch_fsm::on_failed(std::uint64_t attempt, time_point now) {
    if (is_linked(attempt) || (attempt == attempt_ && state_ == state::dialling)) give_up(now);
}

void sentinel_watch_fsm::on_time(time_point now) {
    if (!due_ || now < *due_) return;
    if (state_ == state::pausing) return begin_attempt(now);
    state_ == state::listening ? check_silence(now) : give_up(now);
}

void sentinel_watch_fsm::check_silence(time_point now) {
    if (is_writing_ || !std::exchange(is_heard_, false)) return give_up(now);
    std::string ping;
    append_command(ping, {"PING"});
    send(std::move(ping));
    due_ = now + group_->keep_alive;
}

void sentinel_watch_fsm::send(std::string bytes) {
    is_writing_ = true;
    act(write{attempt_, std::move(bytes)});
}

void sentinel_watch_fsm::give_up(time_point now) {
    // Only one that has worked for a while is a reason to be quick again.
    bool const has_worked = state_ == state::listening && failures_ == 0;
    if (has_worked && now - subscribed_since_ > detail::backoff::longest) backoff_.reset();
    state_ = state::pausing;
    act(hang_up{});
    sentinel_ = (sentinel_ + 1) % group_->options.endpoints.size();
    if (++failures_ == group_->options.endpoints.size()) act(tell_silence{});
    due_ = now + backoff_.next();
}

void sentinel_watch_fsm::end() {
    state_ = state::ended;
    actions_.clear();
    due_.reset();
    act(hang_up{});
}

}  // namespace idempo::redis
