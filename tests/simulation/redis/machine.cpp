// SPDX-License-Identifier: MIT
#include "simulation/redis/machine.hpp"

#include "simulation/describe.hpp"

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/record.hpp>
#include <idempo/redis/operations/script.hpp>
#include <idempo/redis/options.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace idempo::simulation {

namespace {

redis_known_script known_script() {
    auto const& script = redis::scripts::claim();
    return {script.sha1, script.source};
}

/// By EVAL, for the operator.
redis_words script_call(store_key const& key, redis_words const& arguments) {
    auto const name = redis::redis_key(redis_options().prefix, key);
    redis_words words{"EVAL", std::string(redis::scripts::claim().source),   "2",
                      name,   redis::mark_key(redis_options().prefix, name), std::string(key.view())};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

}  // namespace

redis_machine::redis_machine(surroundings& world)
    : world_(world),
      server_(known_script(), world.bug),
      keeps_journal_(world.setup.faults.losses > 0 || world.bug == mutant::redis_acknowledged_before_disk) {}

time_point redis_machine::now() const { return std::chrono::time_point_cast<milliseconds>(clock_.at(world_now)); }

void redis_machine::set_time() {
    server_.set_time(std::chrono::duration_cast<milliseconds>(now().time_since_epoch()).count());
}

std::vector<std::shared_ptr<redis_link>> redis_machine::links() {
    std::vector<std::shared_ptr<redis_link>> there;
    for (auto const& each : links_) {
        if (auto link = each.lock()) there.push_back(std::move(link));
    }
    std::erase_if(links_, [](auto const& each) { return each.expired(); });
    return there;
}

std::shared_ptr<redis_link> redis_machine::accept(std::size_t process) {
    if (!listens_) return nullptr;
    auto link = std::make_shared<redis_link>(world_, process);
    link->life = life_;
    link->at_server([this](redis_link& from, std::string const& bytes) { receive(from, bytes); });
    links_.push_back(link);
    return link;
}

void redis_machine::receive(redis_link& from, std::string const& bytes) {
    if (from.life != life_) return;
    from.commands.feed(bytes);
    serve(from);
}

void redis_machine::serve(redis_link& of) {
    if (!is_running_) return world_.truth.disturb(of.process());
    while (!of.is_waiting) {
        auto const words = of.commands.next();
        if (!words) return;
        execute(of, *words);
    }
}

void redis_machine::execute(redis_link& of, redis_words const& words) {
    if (words.front() == "WAIT") return wait_for_replicas(of, words);
    bool const is_script = words.front() == "EVALSHA" || words.front() == "EVAL";
    world_.told.count("Redis: " + (is_script ? "script " + words.back() : words.front()));
    auto reply = run(words);
    if (std::holds_alternative<redis_reply::error>(reply.value)) {
        world_.told.count("errors of Redis");
        world_.told.tell("redis: ", std::get<redis_reply::error>(reply.value).text);
        world_.truth.disturb(of.process());
    }
    replicate(of);
    if (auto const seen = witness(words, reply, server_.data())) remember(*seen);
    if (world_.bug == mutant::redis_reply_of_another_call && words.front() == "SET") {
        if (last_reply_) std::swap(*last_reply_, reply);
        if (!last_reply_) last_reply_ = reply;
    }
    std::string bytes;
    append(bytes, reply);
    of.send_to_client(std::move(bytes));
}

redis_reply redis_machine::run(redis_words const& words) {
    set_time();
    bool const is_claim = words.front() == "EVAL" && words.back() == "claim";
    if (is_claim && world_.bug == mutant::redis_resends_with_new_token) return run_as_another(words);
    return server_.execute(words);
}

/// A seeded bug: the claim that is sent once more, with the source of its script, has another token, and its caller
/// does not see it.
redis_reply redis_machine::run_as_another(redis_words words) {
    auto& argument = words.at(3 + std::stoul(words[2]));
    auto record = *read_redis_record(argument, argument.size());
    auto const token = record.token;
    record.token.front() = static_cast<char>(record.token.front() ^ 1);
    argument = record.as_value();
    auto reply = server_.execute(words);
    if (auto const seen = witness(words, reply, server_.data())) remember(*seen);
    if (auto* const answer = std::get_if<redis_reply::array>(&reply.value)) answer->front() = token;
    return reply;
}

void redis_machine::replicate(redis_link& of) {
    if (!server_.has_written()) return;
    auto const lag = world_.random.in_100(3) ? milliseconds{1000} : 2 * world_.setup.faults.longest_delay;
    replicated_at_ = std::max(replicated_at_, world_now + world_.random.between(milliseconds{0}, lag));
    of.replicated_at = replicated_at_;
}

void redis_machine::remember(witnessed_call const& seen) {
    if (keeps_journal_) journal_.push_back({{seen.call, seen.answer, now()}, replicated_at_, server_.data()});
    world_.told.tell("redis: ", describe(seen.call, world_.told), " -> ", describe(seen.answer));
    world_.truth.applied(seen.call, seen.answer, world_.truth.tick(), now());
}

/// WAIT count timeout. There is one replica.
void redis_machine::wait_for_replicas(redis_link& of, redis_words const& words) {
    world_.told.count("waits for a replica");
    auto const until = world_now + milliseconds(std::stoll(words.at(2)));
    bool const is_ignored = world_.bug == mutant::redis_wait_is_ignored;
    bool const has_it = of.replicated_at <= until || is_ignored;
    if (!has_it) {
        world_.told.count("waits in vain");
        world_.truth.disturb(of.process());
    }
    of.is_waiting = true;
    auto const answered = is_ignored ? world_now : std::clamp(of.replicated_at, world_now, until);
    world_.plan.at(answered, [this, link = of.shared_from_this(), has_it] {
        if (link->life != life_) return;
        link->is_waiting = false;
        std::string bytes;
        append(bytes, has_it ? 1LL : 0LL);
        link->send_to_client(std::move(bytes));
        serve(*link);
    });
}

std::optional<store_answer> redis_machine::ask(store_call const& call) {
    if (!is_running_) return std::nullopt;
    redis_words words;
    if (auto const* const settle = std::get_if<settle_request>(&call)) {
        words = script_call(settle->key, {std::to_string(settle->attempt), redis::write_settled(*settle),
                                          std::to_string(settle->retention.count()), "settle"});
    } else {
        words = script_call(key_of(call), {"peek"});
    }
    auto const reply = run(words);
    auto const seen = witness(words, reply, server_.data());
    if (!seen) return std::nullopt;
    if (std::holds_alternative<settle_request>(call)) remember(*seen);
    return seen->answer;
}

void redis_machine::cut_all() {
    for (auto const& each : links()) each->cut();
}

/// What is under way to it is lost.
void redis_machine::stop_listening() {
    ++life_;
    cut_all();
    links_.clear();
    server_.forget_scripts();
}

void redis_machine::go_down() {
    world_.truth.disturb_all();
    switch (world_.random.between(0, 4)) {
    case 0:
        world_.told.tell("redis: stops");
        world_.told.count("stops of Redis");
        is_running_ = false;
        return;
    case 1:
        world_.told.tell("redis: dies");
        world_.told.count("restarts of Redis");
        stop_listening();
        is_running_ = listens_ = false;
        was_restarted_ = true;
        if (world_.bug == mutant::redis_acknowledged_before_disk)
            restore(journal_.size() - std::min<std::size_t>(journal_.size(), 5));
        return;
    case 2:
        world_.told.tell("redis: is full");
        world_.told.count("times that Redis was full");
        server_.condition().is_full = true;
        return;
    case 3:
        world_.told.tell("redis: is a replica");
        world_.told.count("times that Redis was a replica");
        server_.condition().is_replica = true;
        return;
    default:
        world_.told.tell("redis: cannot write to its disk");
        world_.told.count("times that Redis refused to write");
        server_.condition().refusal = "MISCONF Redis is configured to save RDB snapshots, but it is unable to persist";
        return;
    }
}

void redis_machine::come_back() {
    world_.told.tell("redis: is well again");
    server_.condition() = {};
    is_running_ = listens_ = true;
    if (std::exchange(was_restarted_, false)) {
        server_.begin_loading();
        world_.plan.after(world_.random.between(milliseconds{0}, milliseconds{300}), [this] { server_.end_loading(); });
    }
    for (auto const& each : links()) serve(*each);
}

void redis_machine::restore(std::size_t kept) {
    server_.restore(kept == 0 ? redis_database() : journal_[kept - 1].data);
    journal_.erase(journal_.begin() + static_cast<std::ptrdiff_t>(kept), journal_.end());
}

void redis_machine::lose(std::size_t operations) {
    auto kept = journal_.size() - std::min(operations, journal_.size());
    if (world_.setup.redis.waits_for_replica) {
        auto const is_there = [](entry const& of) { return of.replicated_at <= world_now; };
        kept =
            static_cast<std::size_t>(std::find_if_not(journal_.begin(), journal_.end(), is_there) - journal_.begin());
    }
    std::vector<store_call> calls;
    for (auto place = kept; place < journal_.size(); ++place) calls.push_back(journal_[place].call);
    world_.told.tell("redis: a replica takes its place, without the last ", calls.size(), " operations");
    world_.told.count("failovers of Redis");
    if (!calls.empty()) world_.told.count("store losses");
    restore(kept);
    stop_listening();
    world_.truth.failed_over(calls, {journal_.begin(), journal_.end()});
}

}  // namespace idempo::simulation
