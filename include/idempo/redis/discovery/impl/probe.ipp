// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/probe.hpp>

#include <boost/asio/post.hpp>

#include <string>
#include <utility>

namespace idempo::redis {

std::shared_ptr<probe> probe::start(strand const& executor, question asked, on_reply accept, on_done done) {
    auto started = std::make_shared<probe>(executor, std::move(asked), std::move(accept), std::move(done));
    asio::post(executor, [started] { started->handle([](fsm& machine, time_point now) { machine.start(now); }); });
    return started;
}

probe::probe(strand const& executor, question asked, on_reply accept, on_done done)
    : machine_runner(executor, std::move(asked), std::move(accept)),
      done_(std::move(done)) {}

void probe::cancel() {
    done_ = nullptr;
    handle([](fsm& machine, time_point) { machine.cancel(); });
    stop_timer();
}

void probe::perform(fsm::dial const& wanted) {
    auto const& asked = machine_.asked();
    transport_ = make_transport(strand_, wanted.endpoint, {asked.names, asked.tls, asked.timeout});
    transport_->connect(of_link([this, server = wanted.server](error_code error) {
        handle([&](fsm& machine, time_point now) {
            error ? machine.on_failed(server, now) : machine.on_connected(server);
        });
        if (transport_ && !error) read_more(server);
    }));
}

void probe::read_more(std::size_t server) {
    transport_->read(
        asio::buffer(incoming_), of_link([this, server](error_code error, std::size_t size) {
            auto const used = transport_;
            handle([&](fsm& machine, time_point now) {
                error ? machine.on_failed(server, now) : machine.on_bytes(server, {incoming_.data(), size}, now);
            });
            if (used == transport_) read_more(server);
        }));
}

void probe::perform(fsm::write& wanted) {
    auto const kept = std::make_shared<std::string const>(std::move(wanted.bytes));
    transport_->write(*kept, of_link([this, kept, server = wanted.server](error_code error, std::size_t) {
        if (!error) return;
        handle([&](fsm& machine, time_point now) { machine.on_failed(server, now); });
    }));
}

void probe::perform(fsm::hang_up const&) { hang_up(); }

void probe::perform(fsm::finish const& wanted) {
    stop_timer();
    if (auto const done = std::exchange(done_, nullptr)) done(wanted.answered_by);
}

}  // namespace idempo::redis
