// SPDX-License-Identifier: MIT
#include "simulation/redis/client.hpp"

#include "simulation/describe.hpp"
#include "simulation/redis/network.hpp"

#include <idempo/redis/store.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <utility>
#include <variant>

namespace idempo::simulation {

namespace {

redis_options options_of(scenario const& setup) {
    redis_options options;
    options.operation_timeout = setup.store_timeout;
    options.connect_timeout = setup.redis.connect_timeout;
    options.connections = setup.redis.connections;
    options.claim_by_script = setup.redis.claims_by_script;
    options.health_interval = setup.redis.health_interval;
    if (setup.redis.waits_for_replica) options.wait_replicas = {.count = 1, .timeout = setup.store_timeout / 3};
    return options;
}

}  // namespace

redis_client::redis_client(surroundings& world, redis_machine& server, std::size_t process,
                           asio::any_io_executor executor, entry enter)
    : world_(world),
      process_(process),
      executor_(std::move(executor)),
      network_(&asio::use_service<redis_network>(asio::query(executor_, asio::execution::context))) {
    network_->open(world, server, process, std::move(enter));
    store_ = std::make_unique<redis_store>(executor_, options_of(world.setup));
}

redis_client::~redis_client() = default;

/// The handler of a call, in the process.
template <class... Result>
auto redis_client::told(store_call const& call, answer_handler done) {
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

void redis_client::send(store_call call, answer_handler done) {
    if (!store_) return;
    world_.truth.sent(process_, call);
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

void redis_client::answer(store_call const& call, store_answer answer, answer_handler done) {
    world_.told.tell("process ", process_, ": is told ", describe(answer), " of ", describe(call, world_.told));
    if (answer.error == error::store_timed_out) world_.told.count("calls timed out");
    if (answer.error == error::store_unavailable) world_.told.count("calls failed");
    world_.truth.delivered(call, answer);
    if (auto const* claim = std::get_if<claim_request>(&call)) world_.truth.answered_to(process_, *claim, answer);
    std::move(done)(std::move(answer));
}

/// What its destructors want to say is never written: the connection is closed before its turn comes.
void redis_client::end(bool) {
    network_->end();
    store_.reset();
}

void redis_client::cut(std::size_t connection) { network_->cut(connection); }

}  // namespace idempo::simulation
