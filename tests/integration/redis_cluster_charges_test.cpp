// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_cluster_scene.hpp"
#include "support/retrying_clients.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace idempo::tests;
using namespace std::chrono_literals;

// What the clients of two charge_servers see while the slots of a Redis Cluster move and its nodes fail, and what it
// costs.

namespace {

using std::chrono::milliseconds;

/// Few enough to be moved at once, enough for clients to find keys in.
constexpr std::uint16_t hot_slots = 16;

bool is_hot(std::uint16_t slot) { return slot < hot_slots; }
bool is_any(std::uint16_t) { return true; }

/// Repeats the question until the answer is yes, or the time is over.
template <class Condition>
bool comes_true(Condition condition, std::chrono::seconds within) {
    auto const deadline = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// Two servers on one cluster, and clients who never give up.
class cluster_campaign {
public:
    enum class membership { fixed, forgets };

    /// \param of_nodes where nodes will be forgotten, which may last more than a minute, what has been charged may only
    /// be stored after that, and nobody may take it over before
    cluster_campaign(redis_cluster_setup const& setup, std::size_t wait_replicas, slot_filter const& wanted,
                     membership of_nodes = membership::fixed)
        : cluster(setup),
          store_(cluster.url() + "?wait_replicas=" + std::to_string(wait_replicas)),
          is_patient_(of_nodes == membership::forgets && cluster.tells_of_forgotten()),
          lease_(is_patient_ ? "100s" : "10s"),
          persist_timeout_(is_patient_ ? "90s" : "10s"),
          one_("awaitable", {"--store", store_, "--lease", lease_, "--persist-timeout", persist_timeout_}),
          other_("callback", {"--store", store_, "--lease", lease_, "--persist-timeout", persist_timeout_}) {
        measure_recovery(is_any);
        recoveries_.clear();  // that was the beginning
        clients_.emplace(std::vector{one_.server.port(), other_.server.port()}, 4U, wanted, book_);
    }

    void await_progress(std::size_t answers) {
        auto const enough = book_.size() + answers;
        poll_until([&] { return book_.size() >= enough; });
    }

    /// Until each server makes a new charge in these slots. A new one for each try: one that was refused may have left
    /// its claim for a while.
    void measure_recovery(slot_filter const& wanted) {
        auto const start = std::chrono::steady_clock::now();
        for (auto* each : {&one_, &other_}) {
            std::optional<http_client> connection;
            poll_until([&] {
                auto const answer =
                    try_charge(connection, each->server.port(), next_charge("recovery", own_charges_, wanted));
                if (answer) book_.add(*answer);
                return answer.has_value();
            });
        }
        recoveries_.push_back(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start));
    }

    /// What has been answered until now is with the replicas when this returns.
    void remember_replicated() {
        for (auto const& [key, charge] : book_.all()) replicated_.insert(key);
        for (auto const primary : primaries()) {
            auto const offset =
                std::stoull(info_field(cluster[primary].ask({"INFO", "replication"}), "master_repl_offset"));
            poll_until([&] {
                auto const there =
                    info_field(cluster[peer_of(primary)].ask({"INFO", "replication"}), "slave_repl_offset");
                return !there.empty() && std::stoull(there) >= offset;
            });
        }
    }

    /// The primary of each third of the slots. \pre all is well
    [[nodiscard]] std::vector<std::size_t> primaries() const {
        std::vector<std::size_t> all;
        for (std::uint16_t slot : {std::uint16_t{0}, std::uint16_t{6000}, std::uint16_t{12000}}) {
            all.push_back(cluster.primary_of(slot));
        }
        return all;
    }

    /// Of a primary its replica, and the reverse.
    [[nodiscard]] static std::size_t peer_of(std::size_t node) { return (node + 3) % 6; }

    enum class failure { killed, stopped, half_stopped };

    /// A primary fails, alone or with all replicas but its own; its replica takes over, and those that failed come
    /// back.
    void fail_over(failure how, std::size_t third, bool needs_replica) {
        await_progress(40);
        remember_replicated();
        for (int tries = 0; tries < 3; ++tries) {
            if (try_fail_over(how, third, needs_replica)) return;
            std::cout << "the nodes did not agree on a successor, and were given another chance" << std::endl;
        }
        throw std::runtime_error("there was no failover");
    }

    /// Each charge once more: its clients may ask for it at any time.
    void finish() {
        clients_->stop();
        setbacks_ = clients_->setbacks();
        std::optional<http_client> connection;
        for (auto const& [key, charge] : book_.all()) {
            poll_until([&, &charge = charge] {
                auto const answer = try_charge(connection, other_.server.port(), charge);
                if (answer) book_.add(*answer);
                return answer.has_value();
            });
        }
        effects_ = one_.charged() + other_.charged();
        clients_.reset();
    }

    // After `finish`:
    [[nodiscard]] std::size_t charges() const { return book_.charges(); }
    [[nodiscard]] std::size_t duplicates() const { return effects_ - book_.charges(); }
    [[nodiscard]] std::size_t wrong() const { return book_.wrong(); }
    [[nodiscard]] std::size_t replicated() const { return replicated_.size(); }
    [[nodiscard]] std::size_t replicated_and_lost() const {
        return static_cast<std::size_t>(std::count_if(replicated_.begin(), replicated_.end(),
                                                      [this](auto const& key) { return book_.ids(key) != 1; }));
    }
    [[nodiscard]] milliseconds slowest() const { return *std::max_element(recoveries_.begin(), recoveries_.end()); }

    void report(std::string const& what) {
        std::sort(recoveries_.begin(), recoveries_.end());
        std::cout << what << ": " << charges() << " charges, " << book_.size() << " answers, " << duplicates()
                  << " duplicate effects, " << wrong() << " wrong answers, " << replicated_and_lost() << " of "
                  << replicated() << " replicated records lost, " << setbacks_ << " answers but 201";
        if (!recoveries_.empty()) {
            std::cout << "; accepted again after " << recoveries_[recoveries_.size() / 2].count() << " ms (median), "
                      << recoveries_.back().count() << " ms (longest of " << recoveries_.size() << ")";
        }
        std::cout << std::endl;
    }

    redis_cluster cluster;

private:
    /// False: there was no successor. On a busy machine nodes may fail over by themselves just before; then others are
    /// stopped than was meant to, and no majority is left. All is well again when this returns.
    bool try_fail_over(failure how, std::size_t third, bool needs_replica) {
        auto const before = primaries();
        auto const failed = before[third];
        std::vector<std::size_t> stopped{failed};
        if (how == failure::half_stopped) {
            for (auto const other : before) {
                if (other != failed) stopped.push_back(peer_of(other));
            }
        }
        std::vector<std::size_t> living;
        for (std::size_t node = 0; node < cluster.size(); ++node) {
            if (std::find(stopped.begin(), stopped.end(), node) == stopped.end()) living.push_back(node);
        }
        for (auto const node : stopped)
            how == failure::killed ? cluster[node].kill() : cluster[node].send_signal(SIGSTOP);
        auto const slot = static_cast<std::uint16_t>(6000 * third);
        bool const is_done = comes_true(
            [&] { return cluster.primary_of(slot, living[0]) == peer_of(failed) && cluster.is_healthy(living); }, 20s);
        auto const in_third = [third](std::uint16_t each) { return each * 3U / 16384U == third; };
        if (is_done && !needs_replica) measure_recovery(in_third);
        for (auto const node : stopped)
            how == failure::killed ? cluster[node].start() : cluster[node].send_signal(SIGCONT);
        if (is_done) {
            poll_until([&] { return info_field(cluster[failed].ask({"INFO", "replication"}), "role") == "slave"; });
        }
        cluster.wait_until_healthy();
        if (is_done && needs_replica) measure_recovery(in_third);
        return is_done;
    }

    std::string store_;
    bool is_patient_;
    std::string lease_;
    std::string persist_timeout_;
    charge_scene one_;
    charge_scene other_;
    answer_book book_;
    std::optional<retrying_clients> clients_;
    std::size_t own_charges_ = 0;
    std::size_t setbacks_ = 0;
    std::size_t effects_ = 0;
    std::set<std::string> replicated_;
    std::vector<milliseconds> recoveries_;
};

using failure = cluster_campaign::failure;

std::size_t errors_of(redis_server const& node, std::string const& kind) {
    auto const count = info_field("\r\n" + node.ask({"INFO", "errorstats"}), "errorstat_" + kind);
    return count.empty() ? 0 : std::stoul(count.substr(count.find('=') + 1));
}

}  // namespace

TEST_CASE("redis cluster: clients that never give up end with a test that fails") {
    answer_book book;
    retrying_clients const clients({free_port()}, 4, is_any, book);
}

TEST_CASE("redis cluster: under load slots move there and back, and each charge is made once") {
    int const cycles = campaign_cycles(6);
    cluster_campaign campaign({.primaries = 3, .replicas_each = 0}, 0, is_hot);
    auto& cluster = campaign.cluster;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        std::size_t const from = cycle % 2 == 0 ? 0 : 1;
        std::size_t const to = 1 - from;
        for (std::uint16_t slot = 0; slot < hot_slots; ++slot) cluster.begin_move(slot, from, to);
        campaign.await_progress(20);
        for (std::uint16_t slot = 0; slot < hot_slots; ++slot) {
            while (cluster.move_keys(slot, from, to) > 0) {
            }
            cluster.end_move(slot, from, to);
        }
        campaign.await_progress(20);
    }
    campaign.finish();
    campaign.report(std::to_string(cycles) + " moves of " + std::to_string(hot_slots) + " slots");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.duplicates() == 0);
    auto const redirected = [&](std::string const& kind) {
        return errors_of(cluster[0], kind) + errors_of(cluster[1], kind);
    };
    CHECK(redirected("ASK") > static_cast<std::size_t>(cycles));
    CHECK(redirected("MOVED") >= static_cast<std::size_t>(cycles));
}

TEST_CASE("redis cluster: under load a node is forgotten and met again, and each charge is made once") {
    int const cycles = campaign_cycles(1);
    cluster_campaign campaign({.primaries = 3, .replicas_each = 0}, 0, is_any, cluster_campaign::membership::forgets);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        campaign.await_progress(40);
        auto const node = static_cast<std::size_t>(cycle) % 3;
        campaign.cluster.forget(node);
        poll_until([&] { return !campaign.cluster.is_healthy({(node + 1) % 3}); });
        campaign.cluster.meet(node);
        campaign.cluster.wait_until_healthy();
        campaign.measure_recovery(is_any);
    }
    campaign.finish();
    campaign.report(std::to_string(cycles) + " times forgotten and met again");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.duplicates() == 0);
    CHECK(campaign.slowest() < 20s);
}

TEST_CASE("redis cluster: under load a failover loses only what no replica had, and nobody gets a wrong answer") {
    int const cycles = campaign_cycles(3);
    cluster_campaign campaign({.node_timeout = 500ms}, 0, is_any);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        constexpr failure all[] = {failure::killed, failure::stopped, failure::half_stopped};
        campaign.fail_over(all[cycle % 3], static_cast<std::size_t>(cycle / 3 + cycle) % 3, false);
    }
    campaign.finish();
    campaign.report(std::to_string(cycles) + " failovers");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.replicated() > 0);
    CHECK(campaign.replicated_and_lost() == 0);
    CHECK(campaign.slowest() < 20s);
}

TEST_CASE("redis cluster: under load a failover loses nothing where the replica had acknowledged it") {
    int const cycles = campaign_cycles(2);
    cluster_campaign campaign({.node_timeout = 500ms}, 1, is_any);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        constexpr failure all[] = {failure::half_stopped, failure::killed, failure::stopped};
        campaign.fail_over(all[cycle % 3], static_cast<std::size_t>(cycle / 3 + cycle) % 3, true);
    }
    campaign.finish();
    campaign.report(std::to_string(cycles) + " failovers, wait_replicas = 1");
    CHECK(campaign.wrong() == 0);
    CHECK(campaign.duplicates() == 0);
    CHECK(campaign.replicated_and_lost() == 0);
    CHECK(campaign.slowest() < 20s);
}
