// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/probe.hpp>

#include <idempo/redis/connection/handshake.hpp>

#include <boost/asio/post.hpp>

#include <span>
#include <string_view>
#include <utility>

namespace idempo::redis {

std::shared_ptr<probe> probe::start(strand const& executor, question asked, on_reply accept, on_done done) {
    auto started = std::make_shared<probe>(executor, std::move(asked), std::move(accept), std::move(done));
    asio::post(executor, [started] { started->ask_next(); });
    return started;
}

probe::probe(strand const& executor, question asked, on_reply accept, on_done done)
    : strand_(executor),
      asked_(std::move(asked)),
      accept_(std::move(accept)),
      done_(std::move(done)),
      timer_(executor) {}

void probe::cancel() {
    if (transport_) transport_->close();
    transport_.reset();
    timer_.cancel();
    accept_ = nullptr;
    done_ = nullptr;
}

void probe::ask_next() {
    if (!done_) return;
    if (next_ == asked_.servers.size()) return finish(std::nullopt);
    auto const& server = asked_.servers[next_++];
    transport_ = make_transport(strand_, server, {asked_.names, asked_.tls, asked_.timeout});
    reader_ = std::make_unique<reply_reader>(asked_.max_array_elements);
    timer_.expires_after(asked_.timeout);
    timer_.async_wait([self = shared_from_this(), used = transport_](error_code is_cancelled) {
        if (!is_cancelled && used == self->transport_) self->give_up();
    });
    transport_->connect([self = shared_from_this(), used = transport_](error_code error) {
        if (used == self->transport_) error ? self->give_up() : self->ask();
    });
}

void probe::ask() {
    outgoing_.clear();
    unanswered_ = asked_.password.empty() ? 1 : 2;
    append_authentication(outgoing_, asked_.user, asked_.password);
    std::vector<std::string_view> const words(asked_.words.begin(), asked_.words.end());
    append_command(outgoing_, std::span(words));
    transport_->write(outgoing_, [self = shared_from_this(), used = transport_](error_code error, std::size_t) {
        if (error && used == self->transport_) self->give_up();
    });
    read_more();
}

void probe::read_more() {
    transport_->read(asio::buffer(incoming_),
                     [self = shared_from_this(), used = transport_](error_code error, std::size_t size) {
                         if (used != self->transport_) return;
                         if (error) return self->give_up();
                         self->on_bytes({self->incoming_.data(), size});
                     });
}

void probe::on_bytes(std::string_view bytes) {
    reader_->feed(bytes);
    while (auto const answer = reader_->next()) {
        reply_view const view(answer.get());
        if (--unanswered_ > 0 && !view.is_error()) continue;
        auto const& server = asked_.servers[next_ - 1];
        return accept_(view, server) && !view.is_error() ? finish(server) : give_up();
    }
    reader_->is_broken() ? give_up() : read_more();
}

void probe::give_up() {
    transport_->close();
    transport_.reset();
    ask_next();
}

void probe::finish(std::optional<redis_endpoint> const& answered_by) {
    auto const done = std::exchange(done_, nullptr);
    cancel();
    done(answered_by);
}

}  // namespace idempo::redis
