// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/probe_fsm.hpp>

#include <idempo/redis/connection/handshake.hpp>

#include <span>

namespace idempo::redis {

void probe_fsm::start(time_point now) {
    if (state_ == state::starting) ask(0, now);
}

void probe_fsm::ask(std::size_t server, time_point now) {
    if (server == asked_.servers.size()) return end_with(std::nullopt);
    server_ = server;
    state_ = state::dialling;
    reader_ = std::make_unique<reply_reader>(asked_.max_array_elements);
    due_ = now + asked_.timeout;
    act(dial{server, asked_.servers[server]});
}

void probe_fsm::on_connected(std::size_t server) {
    if (server != server_ || state_ != state::dialling) return;
    state_ = state::waiting;
    unanswered_ = asked_.password.empty() ? 1 : 2;
    std::string text;
    append_authentication(text, asked_.user, asked_.password);
    std::vector<std::string_view> const words(asked_.words.begin(), asked_.words.end());
    append_command(text, std::span(words));
    act(write{server, std::move(text)});
}

void probe_fsm::on_bytes(std::size_t server, std::string_view bytes, time_point now) {
    if (server != server_ || state_ != state::waiting) return;
    reader_->feed(bytes);
    while (auto const answer = reader_->next()) {
        reply_view const view(answer.get());
        if (--unanswered_ > 0 && !view.is_error()) continue;
        auto const& from = asked_.servers[server];
        if (!accept_(view, from) || view.is_error()) return give_up(now);
        act(hang_up{});
        return end_with(from);
    }
    if (reader_->is_broken()) give_up(now);
}

void probe_fsm::on_failed(std::size_t server, time_point now) {
    if (server == server_ && is_under_way()) give_up(now);
}

void probe_fsm::on_time(time_point now) {
    if (due_ && *due_ <= now) give_up(now);
}

void probe_fsm::give_up(time_point now) {
    act(hang_up{});
    ask(server_ + 1, now);
}

void probe_fsm::end_with(std::optional<redis_endpoint> answered_by) {
    state_ = state::over;
    due_.reset();
    act(finish{std::move(answered_by)});
}

void probe_fsm::cancel() {
    state_ = state::over;
    due_.reset();
    actions_.clear();
    act(hang_up{});
}

}  // namespace idempo::redis
