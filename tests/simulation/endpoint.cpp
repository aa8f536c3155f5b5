// SPDX-License-Identifier: MIT
#include "simulation/endpoint.hpp"

#include "simulation/describe.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace idempo::simulation {

endpoint::endpoint(surroundings& world, store_server& server, std::size_t process, local_clock const& clock,
                   asio::any_io_executor executor, entry enter)
    : world_(world),
      server_(server),
      process_(process),
      clock_(clock),
      executor_(std::move(executor)),
      enter_(std::move(enter)) {}

duration endpoint::delay() { return world_.random.between(milliseconds{0}, world_.setup.faults.longest_delay); }

void endpoint::send(store_call call, answer_handler done) {
    if (is_dead_) return;
    bool const reuses = world_.bug == mutant::claim_after_wait_has_same_token;
    if (reuses && world_.setup.options.wait > milliseconds::zero()) call = reused_.translated(std::move(call));
    world_.truth.sent(process_, call);
    if (is_ending_) return send_last(std::move(call));
    if (deceives(call, done)) return;
    auto const id = next_++;
    auto deadline = std::make_unique<asio::steady_timer>(executor_, world_.setup.store_timeout);
    deadline->async_wait([self = weak_from_this(), id](error_code error) {
        auto const here = self.lock();
        if (!error && here) here->time_out(id);
    });
    pending_.emplace(id, pending_call{std::move(call), std::move(done), world_.truth.tick(), std::move(deadline)});
    transmit(id);
}

void endpoint::transmit(std::uint64_t id, bool is_retry) {
    auto const found = pending_.find(id);
    if (is_dead_ || found == pending_.end()) return;
    auto call = found->second.call;
    auto const sent_at = found->second.sent_at;
    if (is_retry && world_.bug == mutant::retry_with_new_token) {
        if (auto* const claim = std::get_if<claim_request>(&call)) claim->fencing_token = make_fencing_token();
    }
    if (world_.random.in_1000(world_.setup.faults.duplicates)) transmit_late(id, call, sent_at);
    auto& by = connection_of(call);
    by.last_request = std::max(by.last_request, world_now + delay());
    if (world_.random.in_1000(world_.setup.faults.lost_requests)) {
        world_.told.tell("process ", process_, ": lost on its way: ", describe(call, world_.told));
        world_.told.count("lost requests");
        return world_.truth.disturb(process_);
    }
    world_.plan.at(by.last_request, [self = shared_from_this(), id, what = call, at = sent_at, epoch = by.epoch] {
        self->arrive(id, what, at, epoch);
    });
}

/// A second copy, which may arrive when its caller has long gone on.
void endpoint::transmit_late(std::uint64_t id, store_call call, std::uint64_t sent_at) {
    world_.told.count("doubled requests");
    auto const when = world_now + world_.random.between(milliseconds{0}, milliseconds{1500});
    world_.plan.at(when, [self = shared_from_this(), id, what = std::move(call), sent_at] {
        self->arrive(id, what, sent_at, self->connection_of(what).epoch);
    });
}

void endpoint::arrive(std::uint64_t id, store_call const& call, std::uint64_t sent_at, unsigned epoch) {
    auto& by = connection_of(call);
    // Of what a cut connection had under way, the store gets a part.
    if (by.epoch != epoch && world_.random.in_100(50)) return;
    auto answer = server_.apply(call, sent_at, clock_.at(world_now));
    if (!answer) return world_.truth.disturb(process_);
    if (by.epoch != epoch) return;
    if (world_.random.in_1000(world_.setup.faults.lost_answers)) {
        world_.told.count("lost answers");
        return world_.truth.disturb(process_);
    }
    by.last_answer = std::max(by.last_answer, world_now + delay());
    world_.plan.at(by.last_answer, [self = shared_from_this(), id, answer = std::move(*answer), epoch, &by] {
        if (self->is_dead_ || by.epoch != epoch) return;
        self->enter_([self, id, answer] { self->receive(id, answer); });
    });
}

void endpoint::cut(std::size_t which) {
    auto& by = connections_[which];
    ++by.epoch;
    world_.truth.disturb(process_);
    world_.told.tell("process ", process_, ": connection ", which, " is cut");
    world_.told.count("cut connections");
    for (auto const& [id, waiting] : pending_) {
        if (&connection_of(waiting.call) != &by) continue;
        auto const noticed = world_.random.between(milliseconds{1}, milliseconds{200});
        world_.plan.after(noticed, [self = weak_from_this(), id = id] {
            auto const here = self.lock();
            if (!here || here->is_dead_) return;
            here->enter_([here, id] {
                store_answer failed;
                failed.error = error::store_unavailable;
                if (!here->world_.setup.resends_after_cut) return here->finish(id, failed);
                here->transmit(id, true);
            });
        });
    }
}

void endpoint::receive(std::uint64_t id, store_answer answer) {
    auto const found = pending_.find(id);
    if (found == pending_.end()) {
        if (world_.bug == mutant::reply_of_another_call && std::holds_alternative<claim_result>(answer.result)) {
            connections_[0].stale = std::move(answer);
        }
        return;
    }
    distort(found->second.call, answer);
    finish(id, std::move(answer));
}

void endpoint::time_out(std::uint64_t id) {
    auto const found = pending_.find(id);
    if (found == pending_.end()) return;
    world_.told.count("calls timed out");
    auto const call = found->second.call;
    store_answer answer;
    answer.error = error::store_timed_out;
    if (world_.bug == mutant::claim_timeout_is_granted && std::holds_alternative<claim_request>(call)) {
        answer.error = {};
        answer.result = claim_result(granted{1});
    }
    if (world_.bug == mutant::lost_step_is_kept && std::holds_alternative<step_request>(call)) {
        answer.error = {};
        answer.result = true;
    }
    finish(id, std::move(answer));
}

void endpoint::finish(std::uint64_t id, store_answer answer) {
    auto const found = pending_.find(id);
    if (found == pending_.end()) return;
    auto call = std::move(found->second);
    pending_.erase(found);
    call.deadline->cancel();
    if (auto const* claim = std::get_if<claim_request>(&call.call)) {
        auto const* result = std::get_if<claim_result>(&answer.result);
        auto const* grant = result == nullptr ? nullptr : std::get_if<granted>(result);
        if (!answer.error && grant != nullptr) held_[claim->fencing_token] = claim->key;
        bool const is_refused = result != nullptr && std::holds_alternative<in_flight>(*result);
        if (is_refused && world_.bug == mutant::claim_after_wait_has_same_token) reused_.refused(*claim);
        world_.truth.answered_to(process_, *claim, answer);
    }
    bool const is_complete = std::holds_alternative<complete_request>(call.call);
    if (is_complete) held_.erase(token_of(call.call));
    if (is_complete && answer.error && world_.bug == mutant::abandon_when_complete_fails) {
        send(abandon_request{key_of(call.call), token_of(call.call)}, [](store_answer const&) {});
    }
    std::move(call.done)(std::move(answer));
}

bool endpoint::deceives(store_call const& call, answer_handler& done) {
    if (world_.bug == mutant::heartbeat_is_not_sent && std::holds_alternative<renew_request>(call)) {
        store_answer answer;
        answer.result = true;
        std::move(done)(std::move(answer));
        return true;
    }
    if (world_.bug == mutant::answer_before_store && std::holds_alternative<complete_request>(call)) {
        store_answer answer;
        answer.result = complete_result(idempo::done{});
        std::move(done)(std::move(answer));
        send_last(call);
        return true;
    }
    return false;
}

void endpoint::distort(store_call const& call, store_answer& answer) {
    auto& stale = connections_[0].stale;
    if (stale && std::holds_alternative<claim_request>(call)) {
        answer = std::move(*stale);
        stale.reset();
    }
    if (world_.bug == mutant::fenced_complete_is_done && std::holds_alternative<complete_request>(call) &&
        !answer.error) {
        answer.result = complete_result(idempo::done{});
    }
    if (world_.bug == mutant::fenced_step_is_kept && std::holds_alternative<step_request>(call) && !answer.error) {
        answer.result = true;
    }
}

/// Nobody is left to wait for the answer.
void endpoint::send_last(store_call call) {
    auto const id = next_++;
    world_.plan.after(delay(), [self = shared_from_this(), id, call = std::move(call), at = world_.truth.tick()] {
        self->arrive(id, call, at, self->connection_of(call).epoch);
    });
}

void endpoint::end(bool destructors_can_send) {
    is_ending_ = true;
    is_dead_ = !destructors_can_send;
    if (world_.bug == mutant::abandon_at_shutdown) {
        for (auto const& [by, key] : held_) send(abandon_request{key, by}, {});
    }
    // What waits for answers must not outlive the process's context.
    auto const dropped = std::move(pending_);
    pending_.clear();
}

}  // namespace idempo::simulation
