// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/name_resolver.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cerrno>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace idempo::redis {

namespace {

ip_addresses ask_system(std::string const& host, error_code& error) {
    asio::io_context context;
    asio::ip::tcp::resolver resolver(context);
    ip_addresses found;
    for (auto const& each : resolver.resolve(host, std::string(), error)) found.push_back(each.endpoint().address());
    return found;
}

}  // namespace

name_resolver::waiter::~waiter() { ::close(socket_); }

void name_resolver::waiter::wake() const noexcept {
    char const byte = 0;
    // Where it cannot be sent, nobody reads any more, or the reader's timer ends the wait.
    static_cast<void>(::send(socket_, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
}

name_resolver::name_resolver(lookup find) : lookup_(find ? std::move(find) : lookup(ask_system)) {}

void name_resolver::begin(std::string const& host, std::weak_ptr<waiter const> wakes) {
    {
        std::lock_guard const lock(mutex_);
        auto& waiters = waiters_[host];
        std::erase_if(waiters, [](auto const& each) { return each.expired(); });
        waiters.push_back(std::move(wakes));
        if (!book_.begin_lookup(host)) return;
    }
    try {
        std::thread([self = shared_from_this(), host] { self->look_up(host); }).detach();
    } catch (std::system_error const&) {
        finish(host, {}, asio::error::no_memory);
    }
}

void name_resolver::look_up(std::string const& host) {
    error_code error;
    ip_addresses found;
    try {
        found = lookup_(host, error);
    } catch (std::exception const&) {
        error = asio::error::no_memory;
    }
    finish(host, std::move(found), error);
}

void name_resolver::finish(std::string const& host, ip_addresses found, error_code error) {
    std::vector<std::weak_ptr<waiter const>> waiters;
    {
        std::lock_guard const lock(mutex_);
        book_.end_lookup(host, std::move(found), error);
        waiters = std::exchange(waiters_[host], {});
    }
    for (auto const& each : waiters) {
        if (auto const waiting = each.lock()) waiting->wake();
    }
}

ip_addresses name_resolver::known(std::string const& host, error_code& error) const {
    std::lock_guard const lock(mutex_);
    return book_.known(host, error);
}

void name_resolver::report_failure(std::string const& host, asio::ip::address const& address) {
    std::lock_guard const lock(mutex_);
    book_.report_failure(host, address);
}

void name_resolver::report_success(std::string const& host, asio::ip::address const& address) {
    std::lock_guard const lock(mutex_);
    book_.report_success(host, address);
}

name_query::name_query(strand const& executor, std::shared_ptr<name_resolver> names)
    : names_(std::move(names)),
      woken_(executor),
      timer_(executor) {}

void name_query::start(std::string const& host, std::chrono::milliseconds patience, on_found const& done) {
    host_ = host;
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        timer_.expires_after(std::chrono::milliseconds::zero());
    } else {
        woken_.assign(asio::local::stream_protocol(), ends[0]);
        waiter_ = std::make_shared<name_resolver::waiter>(ends[1]);
        timer_.expires_after(patience);
        names_->begin(host, waiter_);
    }
    timer_.async_wait([self = shared_from_this(), done](error_code is_cancelled) {
        if (!is_cancelled) self->finish(done);
    });
    if (!woken_.is_open()) return;
    woken_.async_read_some(asio::buffer(byte_),
                           [self = shared_from_this(), done](error_code is_cancelled, std::size_t) {
                               if (!is_cancelled) self->finish(done);
                           });
}

void name_query::finish(on_found const& done) {
    if (is_over_) return;
    cancel();
    error_code error;
    auto const found = names_->known(host_, error);
    done(error, found);
}

void name_query::cancel() {
    is_over_ = true;
    waiter_.reset();
    error_code ignored;
    woken_.close(ignored);
    timer_.cancel();
}

}  // namespace idempo::redis
