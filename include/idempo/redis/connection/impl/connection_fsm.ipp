// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection_fsm.hpp>

#include <idempo/redis/connection/health_check.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>

namespace idempo::redis {

connection_fsm::connection_fsm(redis_options const& options, std::random_device::result_type seed)
    : options_(options),
      pipeline_(options.operation_timeout, load_, options.wait_replicas),
      backoff_(seed) {}

void connection_fsm::start(time_point now) {
    if (state_ != state::ended && attempt_ == 0) begin_attempt(now);
}

void connection_fsm::begin_attempt(time_point now) {
    state_ = state::finding;
    server_ = {.host = {}, .port = 0};
    attempt_due_ = now + options_.connect_timeout;
    act(find_server{++attempt_});
}

void connection_fsm::on_found(std::uint64_t attempt, redis_endpoint const& server, time_point) {
    if (!is_current(attempt) || state_ != state::finding) return;
    server_ = server;
    state_ = state::dialling;
    act(dial{attempt, server});
}

void connection_fsm::on_connected(std::uint64_t attempt, redis_credentials login, time_point) {
    if (!is_current(attempt) || state_ != state::dialling) return;
    state_ = state::greeting;
    reader_ = std::make_unique<reply_reader>();
    handshake_.emplace(options_, std::move(login));
    questions_ = handshake_->questions();
}

void connection_fsm::on_bytes(std::uint64_t attempt, std::string_view bytes, time_point now) {
    if (!is_current(attempt) || (state_ != state::greeting && state_ != state::ready)) return;
    reader_->feed(bytes);
    if (state_ == state::greeting && !read_greeting(now)) return;
    bool const goes_on = state_ != state::ready || read_answers(now);
    for (auto& [redirected, where] : pipeline_.take_redirected()) {
        if (where.to.host.empty()) where.to.host = server_.host;
        act(send_elsewhere{{std::move(redirected), std::move(where)}});
    }
    if (pipeline_.take_cluster_down()) act(doubt{server_});
    if (!goes_on) return lose(redis_problem::lost, {}, now);
    if (reader_->is_broken()) return lose(redis_problem::wrong_protocol, {}, now);
    end_if_idle();
}

bool connection_fsm::read_greeting(time_point now) {
    while (!handshake_->is_over()) {
        auto const answer = reader_->next();
        if (!answer) return true;
        handshake_->receive(reply_view(answer.get()));
    }
    auto const over = std::exchange(handshake_, std::nullopt);
    if (over->problem() == redis_problem::none) {
        get_ready(*over, now);
        return true;
    }
    report(over->problem(), {}, over->server(), over->words());
    lose(redis_problem::none, {}, now);
    return false;
}

bool connection_fsm::read_answers(time_point now) {
    while (auto const answer = reader_->next()) {
        if (!pipeline_.receive(reply_view(answer.get()), now)) return false;
    }
    return true;
}

void connection_fsm::get_ready(handshake const& greeted, time_point now) {
    abilities_ = abilities_of(greeted.server());
    if (options_.claim_by_script) abilities_.set_nx_get = false;
    state_ = state::ready;
    ready_since_ = now;
    attempt_due_.reset();
    health_due_ = now + options_.health_interval;
    report(redis_problem::none, {}, greeted.server());
}

void connection_fsm::on_failed(std::uint64_t attempt, redis_problem problem, error_code error, time_point now,
                               std::string words) {
    bool const is_under_way = state_ != state::pausing && state_ != state::ended;
    if (!is_current(attempt) || !is_under_way) return;
    auto const usual = state_ == state::ready ? redis_problem::lost : redis_problem::unreachable;
    lose(problem == redis_problem::none ? usual : problem, error, now, std::move(words));
}

void connection_fsm::on_time(time_point now) {
    if (state_ == state::ended) return;
    if (pipeline_.expire(now)) act(doubt{server_});
    if (state_ == state::ready && pipeline_.is_overdue(now)) {
        lose(redis_problem::lost, boost::asio::error::timed_out, now);
    } else if (state_ == state::ready && *health_due_ <= now) {
        check_health(now);
    } else if (attempt_due_ && *attempt_due_ <= now) {
        state_ == state::pausing ? begin_attempt(now)
                                 : lose(redis_problem::unreachable, boost::asio::error::timed_out, now);
    }
    end_if_idle();
}

void connection_fsm::check_health(time_point now) {
    auto const on_problem = [this](redis_problem problem, redis_server_info const& server) {
        report(problem, {}, server);
    };
    auto check = std::make_unique<health_check>(options_, on_problem);
    ++load_.operations;
    load_.bytes += check->weight();
    pipeline_.submit(std::move(check), now);
    health_due_ = now + options_.health_interval;
}

void connection_fsm::submit(std::unique_ptr<operation> submitted, time_point now) {
    pipeline_.submit(std::move(submitted), now);
    if (state_ == state::ended) pipeline_.fail_all(error::store_unavailable);
}

void connection_fsm::move_to(redis_endpoint const& server, time_point now) {
    bool const is_pausing = state_ == state::pausing;
    if (state_ == state::ended || state_ == state::finding || (server_ == server && !is_pausing)) return;
    act(hang_up{});
    if (state_ == state::ready) {
        pipeline_.disconnect();
        report(redis_problem::lost, {}, {});
    }
    backoff_.reset();
    pause(now);
    end_if_idle();
}

void connection_fsm::end() {
    is_ending_ = true;
    end_if_idle();
}

std::vector<std::unique_ptr<operation>> connection_fsm::take_unsent() {
    auto unsent = pipeline_.take_unsent();
    end_if_idle();
    return unsent;
}

void connection_fsm::produce(std::string& to, time_point now, std::size_t max_bytes) {
    to += std::exchange(questions_, {});
    if (state_ == state::ready) pipeline_.send(to, abilities_, now, max_bytes);
}

bool connection_fsm::has_output() const noexcept {
    return !questions_.empty() || (state_ == state::ready && pipeline_.has_sendable());
}

std::optional<time_point> connection_fsm::next_time() const {
    auto next = pipeline_.next_deadline();
    for (auto const& due : {attempt_due_, health_due_}) {
        if (due) next = next ? std::min(*next, *due) : *due;
    }
    return next;
}

void connection_fsm::lose(redis_problem problem, error_code error, time_point now, std::string words) {
    act(hang_up{.has_failed = true});
    bool const was_ready = state_ == state::ready;
    // Only a connection that has worked for a while is a reason to be quick again: some servers accept and then refuse.
    if (was_ready && now - ready_since_ > detail::backoff::longest) backoff_.reset();
    was_ready ? pipeline_.disconnect() : pipeline_.fail_all(error::store_unavailable);
    if (problem != redis_problem::none) report(problem, error, {}, std::move(words));
    act(doubt{server_});
    pause(now);
    end_if_idle();
}

void connection_fsm::pause(time_point now) {
    state_ = state::pausing;
    handshake_.reset();
    questions_.clear();
    health_due_.reset();
    attempt_due_ = now + backoff_.next();
}

void connection_fsm::end_if_idle() {
    if (!is_ending_ || load_.operations != 0 || state_ == state::ended) return;
    state_ = state::ended;
    handshake_.reset();
    questions_.clear();
    attempt_due_.reset();
    health_due_.reset();
    act(hang_up{});
    act(finish{});
}

void connection_fsm::report(redis_problem problem, error_code error, redis_server_info const& server,
                            std::string words) {
    act(tell{{problem, error, server, server_, std::move(words)}});
}

}  // namespace idempo::redis
