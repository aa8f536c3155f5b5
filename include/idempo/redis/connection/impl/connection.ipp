// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>

#include <idempo/redis/connection/credentials.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <random>
#include <utility>

namespace idempo::redis {

namespace {

/// Written at once when so many commands wait, so that the server works while this side makes more of them; what is
/// left is written at the end of the loop's turn. Measured: 1.2 to 1.6 times as many claims as one write a turn. Fewer
/// than eight are not worth it: a write takes as long as making several commands.
std::size_t worth_a_write(std::size_t pending) { return std::clamp<std::size_t>(pending / 4, 8, 64); }

/// One write has so many bytes and one command more: what comes next is chosen when it has left.
constexpr std::size_t write_bytes = std::size_t{256} * 1024;

/// A buffer that is empty and larger than this is given back.
constexpr std::size_t max_idle_bytes = 2 * write_bytes;

void give_back(std::string& buffer) {
    buffer.clear();
    if (buffer.capacity() > max_idle_bytes) buffer = std::string();
}

}  // namespace

void connection_setup::report(redis_event const& event) const noexcept {
    if (!options.observer) return;
    try {
        options.observer(event);
    } catch (...) {
        // An observer has no say in what happens.
    }
}

connection::connection(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup,
                       std::shared_ptr<server_resolver> finds)
    : machine_runner(asio::make_strand(executor), setup->options, std::random_device{}()),
      setup_(std::move(setup)),
      resolver_(std::move(finds)) {}

void connection::start() {
    asio::post(strand_,
               [self = shared_from_this()] { self->handle([](fsm& machine, time_point now) { machine.start(now); }); });
}

void connection::submit(std::unique_ptr<operation> submitted) {
    if (!machine_.load().admit(*submitted, setup_->options)) return submitted->fail(error::store_unavailable);
    std::size_t const pending = machine_.load().operations;
    std::size_t waiting = 0;
    {
        std::lock_guard const lock(mutex_);
        submitted_.push_back(std::move(submitted));
        waiting = submitted_.size();
    }
    auto const take = [self = shared_from_this()] { self->take_submitted(); };
    // Not by a post to the strand: the early write would have to wait behind it, for the end of the turn.
    if (waiting == 1) asio::post(strand_.get_inner_executor(), asio::bind_executor(strand_, take));
    if (waiting == worth_a_write(pending)) asio::dispatch(strand_, take);
}

void connection::move_to(redis_endpoint const& server) {
    asio::post(strand_, [self = shared_from_this(), server] {
        self->handle([&](fsm& machine, time_point now) { machine.move_to(server, now); });
    });
}

void connection::hand_over(std::function<void(std::unique_ptr<operation>)> elsewhere) {
    asio::post(strand_, [self = shared_from_this(), elsewhere = std::move(elsewhere)] {
        self->take_submitted();
        self->handle([&](fsm& machine, time_point) {
            for (auto& unsent : machine.take_unsent()) elsewhere(std::move(unsent));
            machine.end();
        });
    });
}

void connection::end() {
    asio::post(strand_, [self = shared_from_this()] {
        self->take_submitted();
        self->handle([](fsm& machine, time_point) { machine.end(); });
    });
}

void connection::take_submitted() {
    std::vector<std::unique_ptr<operation>> taken;
    {
        std::lock_guard const lock(mutex_);
        if (submitted_.empty()) return;
        taken = std::exchange(submitted_, std::move(spare_));
    }
    handle([&](fsm& machine, time_point now) {
        for (auto& each : taken) machine.submit(std::move(each), now);
        taken.clear();
        spare_ = std::move(taken);
    });
}

void connection::perform(fsm::find_server const& wanted) {
    auto const done = [self = shared_from_this(), attempt = wanted.attempt](redis_problem problem,
                                                                            redis_endpoint const& server) {
        self->handle([&](fsm& machine, time_point now) {
            problem == redis_problem::none ? machine.on_found(attempt, server, now)
                                           : machine.on_failed(attempt, problem, {}, now);
        });
    };
    resolver_->resolve(strand_, done);
}

void connection::perform(fsm::dial const& wanted) {
    auto const& options = setup_->options;
    transport_ = options.unix_path.empty()
                     ? make_transport(strand_, wanted.server, {setup_->names, setup_->tls, options.connect_timeout})
                     : make_unix_transport(strand_, options.unix_path);
    transport_->connect(of_link([this, attempt = wanted.attempt](error_code error) { on_dialled(attempt, error); }));
}

void connection::on_dialled(std::uint64_t attempt, error_code error) {
    auto const& options = setup_->options;
    handle([&](fsm& machine, time_point now) {
        if (error) {
            auto const problem =
                is_certificate_error(error) ? redis_problem::untrusted_certificate : redis_problem::unreachable;
            return machine.on_failed(attempt, problem, error, now);
        }
        try {
            machine.on_connected(attempt, read_credentials(options), now);
        } catch (std::exception const& failure) {
            machine.on_failed(attempt, redis_problem::not_permitted, {}, now,
                              loggable(failure.what(), options.password));
        }
    });
    if (transport_) read_more(attempt);
}

void connection::read_more(std::uint64_t attempt) {
    transport_->read(asio::buffer(incoming_), of_link([this, attempt](error_code error, std::size_t size) {
                         handle([&](fsm& machine, time_point now) {
                             error ? machine.on_failed(attempt, redis_problem::none, error, now)
                                   : machine.on_bytes(attempt, {incoming_.data(), size}, now);
                         });
                         if (transport_) read_more(attempt);
                     }));
}

void connection::flush() {
    if (!transport_ || is_writing_) return;
    while (machine_.has_output()) {
        machine_.produce(outgoing_, std::chrono::steady_clock::now(), write_bytes);
        if (outgoing_.empty() || !write_rest()) return;
    }
}

// Whether more can be written at once.
bool connection::write_rest() {
    auto const written = transport_->write_some_now(outgoing_);
    if (written == outgoing_.size()) {
        give_back(outgoing_);
        return true;
    }
    is_writing_ = true;
    outgoing_.erase(0, written);
    std::swap(in_write_, outgoing_);
    give_back(outgoing_);
    transport_->write(in_write_, of_link([this](error_code error, std::size_t) {
                          is_writing_ = false;
                          give_back(in_write_);
                          if (!error) flush();  // otherwise the reader says so, too
                      }));
    return false;
}

void connection::perform(fsm::hang_up const& wanted) {
    if (transport_ && wanted.has_failed) transport_->report_failure();
    runner::hang_up();
    give_back(outgoing_);
    is_writing_ = false;
}

void connection::perform(fsm::tell const& wanted) { setup_->report(wanted.event); }

void connection::perform(fsm::doubt const& wanted) { resolver_->report_failure(wanted.server); }

void connection::perform(fsm::send_elsewhere& wanted) {
    resolver_->redirect(std::move(wanted.operation.redirected), wanted.operation.where);
}

void connection::perform(fsm::finish const&) {
    resolver_.reset();
    stop_timer();
}

}  // namespace idempo::redis
