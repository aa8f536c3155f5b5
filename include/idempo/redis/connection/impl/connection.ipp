// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>

#include <idempo/redis/connection/credentials.hpp>
#include <idempo/redis/connection/health_check.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

namespace idempo::redis {

namespace {

/// Written at once when so many commands wait, so that the server works while this side makes more of them; what is
/// left is written at the end of the loop's turn. Measured: 1.2 to 1.6 times as many claims as one write a turn.
std::size_t worth_a_write(std::size_t pending) { return std::clamp<std::size_t>(pending / 4, 4, 64); }

/// One write has so many bytes and one command more: what comes next is chosen when it has left.
constexpr std::size_t write_bytes = std::size_t{256} * 1024;

/// A buffer that is empty and larger than this is given back.
constexpr std::size_t max_idle_bytes = 2 * write_bytes;

/// As large as an operation of a holder without a record, which is admitted however many bytes are pending.
constexpr std::size_t small_bytes = 1024;

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
    : setup_(std::move(setup)),
      resolver_(std::move(finds)),
      strand_(asio::make_strand(executor)),
      pipeline_(setup_->options.operation_timeout, load_, setup_->options.wait_replicas),
      backoff_(std::random_device{}()),
      deadline_timer_(strand_),
      attempt_timer_(strand_),
      health_timer_(strand_) {}

void connection::start() {
    asio::post(strand_, [self = shared_from_this()] {
        if (!self->is_ending_) self->connect();
    });
}

void connection::submit(std::unique_ptr<operation> submitted) {
    if (!admits(*submitted)) return submitted->fail(error::store_unavailable);
    std::size_t const pending = load_.operations;
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

bool connection::admits(operation const& submitted) {
    auto const& options = setup_->options;
    auto const weight = submitted.weight();
    bool const is_holders = submitted.kind() == operation_kind::holder;
    auto const operations = load_.operations.fetch_add(1) + 1;
    auto const bytes = load_.bytes.fetch_add(weight) + weight;
    bool const has_place = operations <= options.max_pending * (is_holders ? 2 : 1);
    bool const has_room =
        bytes <= options.max_pending_bytes || bytes == weight || (is_holders && weight <= small_bytes);
    if (has_place && has_room) return true;
    --load_.operations;
    load_.bytes -= weight;
    return false;
}

void connection::hand_over(std::function<void(std::unique_ptr<operation>)> elsewhere) {
    asio::post(strand_, [self = shared_from_this(), elsewhere = std::move(elsewhere)] {
        self->is_ending_ = true;
        self->take_submitted();
        for (auto& unsent : self->pipeline_.take_unsent()) elsewhere(std::move(unsent));
        self->end_if_idle();
    });
}

void connection::end() {
    asio::post(strand_, [self = shared_from_this()] {
        self->is_ending_ = true;
        self->take_submitted();
        self->end_if_idle();
    });
}

void connection::move_to(redis_endpoint const& server) {
    asio::post(strand_, [self = shared_from_this(), server] {
        bool const is_asking = self->state_ == state::connecting && !self->transport_;
        bool const is_pausing = self->state_ == state::pausing;
        if (self->state_ == state::ended || is_asking || (self->server_ == server && !is_pausing)) return;
        // Before anybody is told: an observer may submit operations.
        bool const was_ready = std::exchange(self->state_, state::pausing) == state::ready;
        self->drop_link();
        if (was_ready) {
            self->pipeline_.disconnect();
            self->report(redis_problem::lost, {}, {});
        }
        self->backoff_.reset();
        self->pause();
        self->end_if_idle();
    });
}

void connection::connect() {
    state_ = state::connecting;
    auto const attempt = ++attempt_;
    server_ = {.host = {}, .port = 0};
    set_attempt_timer(setup_->options.connect_timeout,
                      [this] { lose(redis_problem::unreachable, asio::error::timed_out); });
    resolver_->resolve(strand_,
                       [self = shared_from_this(), attempt](redis_problem problem, redis_endpoint const& server) {
                           if (self->attempt_ != attempt || self->state_ != state::connecting) return;
                           if (problem != redis_problem::none) return self->lose(problem, {});
                           self->dial(server);
                       });
}

void connection::dial(redis_endpoint const& server) {
    server_ = server;
    reader_ = std::make_unique<reply_reader>();
    auto const& path = setup_->options.unix_path;
    transport_ = path.empty()
                     ? make_transport(strand_, server_, {setup_->names, setup_->tls, setup_->options.connect_timeout})
                     : make_unix_transport(strand_, path);
    transport_->connect([self = shared_from_this(), used = transport_](error_code error) {
        if (used != self->transport_) return;
        if (!error) return self->greet();
        self->lose(is_certificate_error(error) ? redis_problem::untrusted_certificate : redis_problem::unreachable,
                   error);
    });
}

void connection::greet() {
    try {
        handshake_.emplace(setup_->options, read_credentials(setup_->options));
    } catch (std::exception const& failure) {
        report(redis_problem::not_permitted, {}, {}, loggable(failure.what(), setup_->options.password));
        return lose(redis_problem::none, {});
    }
    outgoing_ = handshake_->questions();
    static_cast<void>(write_rest());
    read_more();
}

void connection::read_more() {
    transport_->read(
        asio::buffer(incoming_), [self = shared_from_this(), used = transport_](error_code error, std::size_t size) {
            if (used != self->transport_) return;
            auto const problem = self->state_ == state::ready ? redis_problem::lost : redis_problem::unreachable;
            if (error) return self->lose(problem, error);
            self->on_bytes({self->incoming_.data(), size});
        });
}

void connection::on_bytes(std::string_view bytes) {
    reader_->feed(bytes);
    if (state_ != state::ready && !read_greeting()) return;
    bool const goes_on = state_ != state::ready || read_answers();
    hand_on_redirected();
    if (pipeline_.take_cluster_down()) resolver_->report_failure(server_);
    if (!goes_on) return lose(redis_problem::lost, {});
    if (reader_->is_broken()) return lose(redis_problem::wrong_protocol, {});
    flush();
    read_more();
    end_if_idle();
}

bool connection::read_greeting() {
    while (!handshake_->is_over()) {
        auto const answer = reader_->next();
        if (!answer) return true;
        handshake_->receive(reply_view(answer.get()));
    }
    auto const over = std::exchange(handshake_, std::nullopt);
    if (over->problem() != redis_problem::none) {
        report(over->problem(), {}, over->server(), over->words());
        lose(redis_problem::none, {});
        return false;
    }
    abilities_ = abilities_of(over->server());
    if (setup_->options.claim_by_script) abilities_.set_nx_get = false;
    attempt_timer_.cancel();
    ready_since_ = std::chrono::steady_clock::now();
    state_ = state::ready;
    report(redis_problem::none, {}, over->server());
    watch_health();
    return true;
}

bool connection::read_answers() {
    while (auto const answer = reader_->next()) {
        bool const goes_on = pipeline_.receive(reply_view(answer.get()), std::chrono::steady_clock::now());
        if (!goes_on) return false;
    }
    return true;
}

void connection::hand_on_redirected() {
    for (auto& [redirected, where] : pipeline_.take_redirected()) {
        if (where.to.host.empty()) where.to.host = server_.host;
        resolver_->redirect(std::move(redirected), where);
    }
}

void connection::take_submitted() {
    std::vector<std::unique_ptr<operation>> taken;
    {
        std::lock_guard const lock(mutex_);
        taken.swap(submitted_);
    }
    if (taken.empty()) return;
    auto const now = std::chrono::steady_clock::now();
    for (auto& each : taken) pipeline_.submit(std::move(each), now);
    if (state_ == state::ended) {
        return pipeline_.fail_all(error::store_unavailable);
    }
    watch_deadlines();
    flush();
}

void connection::flush() {
    if (state_ != state::ready || is_writing_) return;
    do {
        pipeline_.send(outgoing_, abilities_, std::chrono::steady_clock::now(), write_bytes);
    } while (!outgoing_.empty() && write_rest() && pipeline_.has_sendable());
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
    transport_->write(in_write_, [self = shared_from_this(), used = transport_](error_code error, std::size_t) {
        if (used != self->transport_) return;
        self->is_writing_ = false;
        give_back(self->in_write_);
        if (!error) self->flush();  // otherwise the reader says so, too
    });
    return false;
}

void connection::drop_link() {
    if (transport_) transport_->close();
    transport_.reset();
    handshake_.reset();
    give_back(outgoing_);
    is_writing_ = false;
}

void connection::lose(redis_problem problem, error_code error) {
    if (transport_) transport_->report_failure();
    drop_link();
    bool const was_ready = state_ == state::ready;
    // Only a connection that has worked for a while is a reason to be quick again: some servers accept and then refuse.
    if (was_ready && std::chrono::steady_clock::now() - ready_since_ > detail::backoff::longest) backoff_.reset();
    state_ = state::pausing;

    was_ready ? pipeline_.disconnect() : pipeline_.fail_all(error::store_unavailable);
    if (problem != redis_problem::none) report(problem, error, {});
    resolver_->report_failure(server_);
    pause();
    end_if_idle();
}

void connection::pause() {
    set_attempt_timer(backoff_.next(), [this] { connect(); });
}

void connection::end_if_idle() {
    if (!is_ending_ || load_.operations != 0 || state_ == state::ended) return;
    state_ = state::ended;
    drop_link();
    resolver_.reset();
    attempt_timer_.cancel();
    deadline_timer_.cancel();
    health_timer_.cancel();
}

void connection::report(redis_problem problem, error_code error, redis_server_info const& server,
                        std::string words) const {
    setup_->report({problem, error, server, server_, std::move(words)});
}

void connection::watch_health() {
    health_timer_.expires_after(setup_->options.health_interval);
    health_timer_.async_wait([self = shared_from_this(), used = transport_](error_code is_cancelled) {
        if (is_cancelled || used != self->transport_) return;
        auto const tell = [&owner = *self](redis_problem problem, redis_server_info const& server) {
            owner.report(problem, {}, server);
        };
        auto check = std::make_unique<health_check>(self->setup_->options, tell);
        ++self->load_.operations;
        self->load_.bytes += check->weight();
        self->pipeline_.submit(std::move(check), std::chrono::steady_clock::now());
        self->watch_deadlines();
        self->flush();
        self->watch_health();
    });
}

void connection::watch_deadlines() {
    auto const next = pipeline_.next_deadline();
    if (!next || (watches_deadlines_ && deadline_timer_.expiry() <= *next)) return;
    watches_deadlines_ = true;
    deadline_timer_.expires_at(*next);
    deadline_timer_.async_wait([self = shared_from_this()](error_code is_cancelled) {
        if (is_cancelled || self->state_ == state::ended) return;
        self->watches_deadlines_ = false;
        self->on_deadline();
    });
}

void connection::on_deadline() {
    auto const now = std::chrono::steady_clock::now();
    if (pipeline_.expire(now)) resolver_->report_failure(server_);
    if (state_ == state::ready && pipeline_.is_overdue(now)) lose(redis_problem::lost, asio::error::timed_out);
    flush();  // what was held back by those that have timed out
    watch_deadlines();
    end_if_idle();
}

template <class Then>
void connection::set_attempt_timer(std::chrono::milliseconds span, Then then) {
    attempt_timer_.expires_after(span);
    attempt_timer_.async_wait([self = shared_from_this(), then, attempt = attempt_, now = state_](error_code error) {
        if (!error && attempt == self->attempt_ && now == self->state_) then();
    });
}

}  // namespace idempo::redis
