// SPDX-License-Identifier: MIT
#include "simulation/postgres/client.hpp"

#include "simulation/describe.hpp"
#include "simulation/postgres/machine.hpp"
#include "simulation/postgres/network.hpp"

#include <idempo/postgres/store.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <utility>
#include <variant>

namespace idempo::simulation {

namespace {

postgres_options options_of(scenario const& setup) {
    postgres_options options;
    options.operation_timeout = setup.store_timeout;
    options.connect_timeout = setup.postgres.connect_timeout;
    options.workers = setup.postgres.workers;
    options.sweep_interval = setup.postgres.sweep_interval;
    return options;
}

}  // namespace

postgres_client::postgres_client(surroundings& world, postgres_machine& server, std::size_t process,
                                 asio::any_io_executor executor, entry enter)
    : world_(world),
      server_(server),
      process_(process),
      executor_(std::move(executor)),
      network_(&asio::use_service<postgres_network>(asio::query(executor_, asio::execution::context))) {
    network_->open(world, server, process, std::move(enter));
    store_ = std::make_unique<postgres_store>(executor_, options_of(world.setup));
}

postgres_client::~postgres_client() = default;

/// The handler of a call, in the process.
template <class... Result>
auto postgres_client::told(store_call const& call, answer_handler done) {
    return asio::bind_executor(
        executor_, [self = weak_from_this(), call, done = std::move(done)](error_code error, Result... result) mutable {
            auto const here = self.lock();
            if (!here) return;
            store_answer answer;
            answer.error = error;
            if (!error) ((answer.result = std::move(result)), ...);
            here->answer(call, std::move(answer), std::move(done));
        });
}

void postgres_client::send(store_call call, answer_handler done) {
    if (!store_) return;
    world_.truth.sent(process_, call);
    server_.is_called(process_, call);
    auto& store = *store_;
    if (auto const* claim = std::get_if<claim_request>(&call)) {
        store.async_claim(*claim, told<claim_result>(call, std::move(done)));
    } else if (auto const* complete = std::get_if<complete_request>(&call)) {
        store.async_complete(*complete, told<complete_result>(call, std::move(done)));
    } else if (auto const* abandon = std::get_if<abandon_request>(&call)) {
        store.async_abandon(abandon->key, abandon->fencing_token, told<>(call, std::move(done)));
    } else if (auto const* renew = std::get_if<renew_request>(&call)) {
        store.async_renew(renew->key, renew->fencing_token, renew->lease, told<bool>(call, std::move(done)));
    } else if (auto const* step = std::get_if<step_request>(&call)) {
        store.async_save_step(*step, told<bool>(call, std::move(done)));
    } else if (auto const* park = std::get_if<park_request>(&call)) {
        store.async_park(*park, told<bool>(call, std::move(done)));
    } else if (auto const* settle = std::get_if<settle_request>(&call)) {
        store.async_settle(*settle, told<bool>(call, std::move(done)));
    } else {
        store.async_peek(key_of(call), told<std::optional<record_info>>(call, std::move(done)));
    }
}

void postgres_client::answer(store_call const& call, store_answer answer, answer_handler done) {
    world_.told.tell("process ", process_, ": is told ", describe(answer), " of ", describe(call, world_.told));
    if (answer.error == error::store_timed_out) world_.told.count("calls timed out");
    if (answer.error == error::store_unavailable) world_.told.count("calls failed");
    server_.is_answered(process_, call);
    world_.truth.delivered(call, answer);
    if (auto const* claim = std::get_if<claim_request>(&call)) world_.truth.answered_to(process_, *claim, answer);
    std::move(done)(std::move(answer));
}

/// What its destructors want to say is never sent: the store's threads end with the context.
void postgres_client::end(bool) {
    network_->end();
    store_.reset();
}

void postgres_client::die() { server_.is_dead(process_); }

void postgres_client::cut(std::size_t connection) { network_->cut(connection); }

}  // namespace idempo::simulation
