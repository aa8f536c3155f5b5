// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/charging_pairs.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/redis_sentinel.hpp"
#include "support/requests.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace idempo::tests;
using namespace std::chrono_literals;

// What the clients of two charge_servers see when the primary of their Redis fails, and what it costs.

namespace {

using std::chrono::milliseconds;

/// Where nothing is lost, a lease that ends before its record can be stored would look as if something were.
std::string lease(std::size_t wait_replicas) { return wait_replicas > 0 ? "10s" : "3s"; }

/// Two servers, sentinels and Redis, and clients who never give up.
class failover_campaign {
public:
    enum class failure { killed, stopped, asked_for };

    failover_campaign(std::size_t replicas, std::size_t wait_replicas)
        : replicas_(replicas),
          waits_(wait_replicas > 0),
          redis_({.replicas = replicas}),
          one_("awaitable", {"--store", url(wait_replicas), "--lease", lease(wait_replicas)}),
          other_("callback", {"--store", url(wait_replicas), "--lease", lease(wait_replicas)}),
          pairs_(one_.server.port(), other_.server.port(), 4) {
        for (auto* each : {&one_, &other_}) await_charge(*each);
    }

    /// A sentinel is killed, the primary fails, another one takes over, and both come back. Where the primary does not
    /// fail by request, its replicas have not heard of it for a moment, and what it has acknowledged meanwhile they do
    /// not have.
    void fail_over(failure how) {
        await_progress();
        remember_replicated();
        auto const absent = failovers_ % sentinel_scene::sentinel_count;
        redis_.kill_sentinel(absent);
        auto const old = redis_.primary();
        auto& primary = redis_.server(old);
        if (how == failure::asked_for) {
            redis_.fail_over();
        } else {
            cut_off(old);
            how == failure::killed ? primary.kill() : primary.send_signal(SIGSTOP);
            signal_replicas(old, SIGCONT);
            redis_.await_successor(old);
        }
        if (!waits_) measure_recovery();
        redis_.restart_sentinel(absent);  // it still names the old primary
        if (how == failure::killed) primary.start();
        if (how == failure::stopped) primary.send_signal(SIGCONT);
        redis_.await_health();
        if (waits_) measure_recovery();
        ++failovers_;
        healthy_since_ = pairs_.receipts().size();
    }

    /// Each charge once more: its clients may ask for it at any time.
    void finish() {
        pairs_.stop();
        auto all = pairs_.receipts();
        all.insert(all.end(), own_receipts_.begin(), own_receipts_.end());
        std::map<std::string, charge_order> orders;
        for (auto const& receipt : all) orders[receipt.order.key] = receipt.order;
        for (auto const& [key, order] : orders) {
            all.push_back(await_charge(other_, order));
            kept_[key] = all.back().id;
        }
        for (auto const& receipt : all) {
            wrong_ += receipt.is_for_order ? 0 : 1;
            ids_[receipt.order.key].insert(receipt.id);
        }
        effects_ = one_.charged() + other_.charged();
    }

    [[nodiscard]] std::size_t failovers() const { return failovers_; }
    [[nodiscard]] std::size_t charges() const { return ids_.size(); }
    [[nodiscard]] std::size_t duplicates() const { return effects_ - ids_.size(); }
    [[nodiscard]] std::size_t wrong() const { return wrong_; }
    [[nodiscard]] std::size_t setbacks() const { return pairs_.setbacks(); }
    [[nodiscard]] std::size_t replicated() const { return replicated_.size(); }
    [[nodiscard]] std::size_t refused() const { return refused_; }
    [[nodiscard]] std::vector<charge_order> const& unreplicated() const { return unreplicated_; }

    /// With how many ids a charge has been answered.
    [[nodiscard]] std::size_t answers(std::string const& key) const { return ids_.at(key).size(); }

    [[nodiscard]] std::size_t replicated_and_lost() const {
        return static_cast<std::size_t>(std::count_if(replicated_.begin(), replicated_.end(), [this](auto const& each) {
            return kept_.at(each.first) != each.second;
        }));
    }

    [[nodiscard]] milliseconds slowest() const { return *std::max_element(recoveries_.begin(), recoveries_.end()); }

    void report(std::string const& name) {
        std::sort(recoveries_.begin(), recoveries_.end());
        std::cout << name << ": " << failovers_ << " failovers, " << charges() << " charges, " << duplicates()
                  << " duplicate effects, " << wrong_ << " wrong answers, " << replicated_and_lost() << " of "
                  << replicated_.size() << " replicated records lost, " << setbacks() << " answers but 201; accepted "
                  << "again after " << recoveries_[recoveries_.size() / 2].count() << " ms (median), "
                  << recoveries_.back().count() << " ms (longest)" << std::endl;
    }

private:
    [[nodiscard]] std::string url(std::size_t wait_replicas) const {
        return redis_.url("?wait_replicas=" + std::to_string(wait_replicas));
    }

    charge_order new_order() {
        ++own_orders_;
        return {"own-" + std::to_string(own_orders_), 1'000'000'000 + own_orders_};
    }

    /// Until the charge is answered.
    charge_receipt await_charge(charge_scene& scene, charge_order const& order) {
        auto& connection = &scene == &one_ ? to_one_ : to_other_;
        std::optional<charge_receipt> receipt;
        poll_until([&] { return (receipt = try_charge(connection, scene.server.port(), order)).has_value(); });
        return *receipt;
    }

    void await_charge(charge_scene& scene) { own_receipts_.push_back(await_charge(scene, new_order())); }

    void await_progress() {
        auto const enough = pairs_.receipts().size() + 50;
        poll_until([&] { return pairs_.receipts().size() > enough; });
    }

    /// What this primary has acknowledged by now, and what its replicas have, too, then.
    void remember_replicated() {
        auto const receipts = pairs_.receipts();
        for (auto at = healthy_since_; at < receipts.size(); ++at)
            replicated_[receipts[at].order.key] = receipts[at].id;
        redis_.await_replication();
    }

    void signal_replicas(std::size_t primary, int signal) {
        for (std::size_t number = 0; number <= replicas_; ++number) {
            if (number != primary) redis_.server(number).send_signal(signal);
        }
    }

    /// From here on the replicas get nothing more from the primary. A charge is made there.
    void cut_off(std::size_t primary) {
        signal_replicas(primary, SIGSTOP);
        redis_.server(primary).ask({"CLIENT", "KILL", "TYPE", "replica"});
        auto const order = new_order();
        if (waits_) {
            refused_ += http_client(one_.server.port()).exchange(order.request()).result_int() == 503;
        } else {
            own_receipts_.push_back(await_charge(one_, order));
        }
        unreplicated_.push_back(order);
    }

    /// Until both servers accept a charge.
    void measure_recovery() {
        auto const start = std::chrono::steady_clock::now();
        for (auto* each : {&one_, &other_}) {
            // A new charge for each try: one that was refused may have left its claim, for a while.
            poll_until([&] {
                auto& connection = each == &one_ ? to_one_ : to_other_;
                auto const receipt = try_charge(connection, each->server.port(), new_order());
                if (receipt) own_receipts_.push_back(*receipt);
                return receipt.has_value();
            });
        }
        recoveries_.push_back(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start));
    }

    std::size_t replicas_;
    bool waits_;
    sentinel_scene redis_;
    charge_scene one_;
    charge_scene other_;
    charging_pairs pairs_;
    std::optional<http_client> to_one_;
    std::optional<http_client> to_other_;
    std::size_t own_orders_ = 0;
    std::size_t failovers_ = 0;
    std::size_t healthy_since_ = 0;  // how many receipts there were then
    std::size_t refused_ = 0;
    std::size_t wrong_ = 0;
    std::size_t effects_ = 0;
    std::vector<charge_receipt> own_receipts_;
    std::vector<charge_order> unreplicated_;
    std::map<std::string, std::string> replicated_;  // the ids by key, as are those that were kept to the end
    std::map<std::string, std::string> kept_;
    std::map<std::string, std::set<std::string>> ids_;
    std::vector<milliseconds> recoveries_;
};

using failure = failover_campaign::failure;

failure failure_of(int cycle) {
    constexpr failure all[] = {failure::killed, failure::stopped, failure::asked_for};
    return all[cycle % 3];
}

}  // namespace

TEST_CASE("redis sentinel: pairs of clients that never give up end with a test that fails") {
    charging_pairs const pairs(free_port(), free_port(), 4);
}

TEST_CASE("redis sentinel: under load a failover loses only what no replica had, and nobody gets a wrong answer") {
    int const cycles = campaign_cycles(2);
    failover_campaign campaign(2, 0);
    for (int cycle = 0; cycle < cycles; ++cycle) campaign.fail_over(failure_of(cycle));
    campaign.finish();
    campaign.report("2 replicas");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.replicated() > 0);
    CHECK(campaign.replicated_and_lost() == 0);
    // Acknowledged where the replicas could not see it: each of these is a duplicate, and was counted.
    CHECK(campaign.unreplicated().size() > 0);
    for (auto const& order : campaign.unreplicated()) CHECK(campaign.answers(order.key) == 2);
    CHECK(campaign.duplicates() >= campaign.unreplicated().size());
    CHECK(campaign.setbacks() > 0);
    CHECK(campaign.slowest() < 20s);
}

TEST_CASE("redis sentinel: under load a failover loses nothing where the replica had acknowledged it") {
    int const cycles = campaign_cycles(1);
    failover_campaign campaign(1, 1);
    for (int cycle = 0; cycle < cycles; ++cycle) campaign.fail_over(failure_of(cycle));
    campaign.finish();
    campaign.report("1 replica, wait_replicas = 1");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.duplicates() == 0);
    CHECK(campaign.replicated_and_lost() == 0);
    CHECK(campaign.refused() == campaign.unreplicated().size());
    CHECK(campaign.refused() > 0);
    CHECK(campaign.slowest() < 20s);
}

TEST_CASE(
    "redis sentinel: under load wait_replicas lets nothing through that one of two replicas has not acknowledged") {
    int const cycles = campaign_cycles(1);
    failover_campaign campaign(2, 1);
    for (int cycle = 0; cycle < cycles; ++cycle) campaign.fail_over(failure_of(cycle));
    campaign.finish();
    campaign.report("2 replicas, wait_replicas = 1");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.replicated_and_lost() == 0);
    CHECK(campaign.refused() == campaign.unreplicated().size());
    CHECK(campaign.refused() > 0);
    CHECK(campaign.slowest() < 20s);
}

TEST_CASE(
    "redis sentinel: a charge_server says which primary it has found, or that nobody knows it, and refuses then") {
    sentinel_scene redis({.replicas = 0});
    charge_scene found("awaitable", {"--store", redis.url()});
    CHECK(found.client.exchange(make_post("/charge", "a", charge_42)).result_int() == 201);
    // The store tells its observer from a thread of its own, perhaps after the answer.
    auto const says = [](charge_scene& scene, std::string const& words) {
        poll_until([&] { return scene.server.errors().find(words) != std::string::npos; });
    };
    says(found, "127.0.0.1:" + std::to_string(redis.server(0).port()));

    auto url = redis.url();
    url.replace(url.rfind('/') + 1, std::string::npos, "orders");
    charge_scene lost("awaitable", {"--store", url});
    CHECK(lost.client.exchange(make_post("/charge", "a", charge_42)).result_int() == 503);
    says(lost, "The sentinels know no primary of that name.");
    CHECK(lost.started() == 0);
}
