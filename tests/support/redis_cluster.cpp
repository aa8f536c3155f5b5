// SPDX-License-Identifier: MIT
#include "support/redis_cluster.hpp"

#include "support/poll_until.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace idempo::tests {

namespace {

constexpr std::size_t slots = 16384;

void expect_ok(std::string const& answer) {
    if (answer != "OK") throw std::runtime_error("a node of the cluster says: " + answer);
}

std::vector<std::string> words_of(std::string const& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

}  // namespace

redis_cluster::redis_cluster(redis_cluster_setup const& setup) : setup_(setup) {
    auto const primaries = setup.primaries;
    for (std::size_t node = 0; node < primaries * (1 + setup.replicas_each); ++node) start_node();
    for (std::size_t node = 0; node < primaries; ++node) {
        auto const first = std::to_string(slots * node / primaries);
        auto const last = std::to_string(slots * (node + 1) / primaries - 1);
        expect_ok(nodes_[node]->ask({"CLUSTER", "ADDSLOTSRANGE", first, last}));
    }
    for (std::size_t node = 1; node < size(); ++node) introduce(node, 0);
    wait_until_all_know_each_other();
    for (std::size_t node = primaries; node < size(); ++node) {
        auto const of = id(node % primaries);
        poll_until([&] { return nodes_[node]->ask({"CLUSTER", "REPLICATE", of}) == "OK"; });
    }
    wait_until_healthy();
    auto const timeout = std::to_string(setup.node_timeout.count());
    for (auto const& node : nodes_) expect_ok(node->ask({"CONFIG", "SET", "cluster-node-timeout", timeout}));
    wait_until_healthy();  // on a busy machine a failover may have begun under the short timeout
}

void redis_cluster::start_node() {
    auto const number = std::to_string(nodes_.size() + 1);
    bus_ports_.push_back(std::to_string(free_port()));
    // A cluster with a short timeout is ready sooner.
    std::vector<std::string> flags{"--cluster-enabled",
                                   "yes",
                                   "--cluster-port",
                                   bus_ports_.back(),
                                   "--cluster-node-timeout",
                                   "500",
                                   "--cluster-allow-replica-migration",
                                   "no",
                                   "--repl-diskless-sync-delay",
                                   "0"};
    flags.insert(flags.end(), setup_.flags.begin(), setup_.flags.end());
    nodes_.push_back(std::make_unique<redis_server>(flags));
    expect_ok(nodes_.back()->ask({"CLUSTER", "SET-CONFIG-EPOCH", number}));
}

std::string redis_cluster::url() const {
    std::string text = "redis+cluster://";
    for (std::size_t node = 0; node < std::min<std::size_t>(3, size()); ++node) {
        text += (node == 0 ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(nodes_[node]->port());
    }
    return text;
}

std::size_t redis_cluster::primary_of(std::uint16_t slot, std::size_t asked) const {
    // "id ip:port@bus flags primary ping pong epoch state slots…", a line each
    std::istringstream lines(nodes_[asked]->ask({"CLUSTER", "NODES"}));
    for (std::string line; std::getline(lines, line);) {
        auto const words = words_of(line);
        for (std::size_t at = 8; at < words.size(); ++at) {
            if (words[at].starts_with('[')) continue;  // on its way
            auto const dash = words[at].find('-');
            auto const first = std::stoul(words[at]);
            auto const last = dash == std::string::npos ? first : std::stoul(words[at].substr(dash + 1));
            if (slot < first || slot > last) continue;
            for (std::size_t node = 0; node < size(); ++node) {
                if (words[1].find(":" + std::to_string(nodes_[node]->port()) + "@") != std::string::npos) return node;
            }
        }
    }
    throw std::runtime_error("nobody has the slot");
}

std::string redis_cluster::id(std::size_t node) const { return nodes_[node]->ask({"CLUSTER", "MYID"}); }

bool redis_cluster::is_healthy(std::vector<std::size_t> const& nodes) const {
    return std::all_of(nodes.begin(), nodes.end(), [this](std::size_t node) {
        return nodes_[node]->ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos;
    });
}

void redis_cluster::wait_until_healthy() const {
    for (std::size_t node = 0; node < size(); ++node) {
        poll_until([&] { return is_healthy({node}); });
        poll_until([&] {
            auto const state = nodes_[node]->ask({"INFO", "replication"});
            return info_field(state, "role") == "master" || info_field(state, "master_link_status") == "up";
        });
    }
}

void redis_cluster::wait_until_all_know_each_other() const {
    // By name: while two nodes meet, each has its own name for the other.
    for (std::size_t node = 0; node < size(); ++node) {
        auto const name = id(node);
        for (auto const& other : nodes_) {
            poll_until([&] { return other->ask({"CLUSTER", "NODES"}).find(name) != std::string::npos; });
        }
    }
}

void redis_cluster::begin_move(std::uint16_t slot, std::size_t from, std::size_t to) const {
    auto const number = std::to_string(slot);
    expect_ok(nodes_[to]->ask({"CLUSTER", "SETSLOT", number, "IMPORTING", id(from)}));
    expect_ok(nodes_[from]->ask({"CLUSTER", "SETSLOT", number, "MIGRATING", id(to)}));
}

std::size_t redis_cluster::move_keys(std::uint16_t slot, std::size_t from, std::size_t to) const {
    auto const port = std::to_string(nodes_[to]->port());
    auto const keys = words_of(nodes_[from]->ask({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), "50"}));
    for (auto const& key : keys) {
        auto const answer = nodes_[from]->ask({"MIGRATE", "127.0.0.1", port, key, "0", "5000"});
        if (answer != "NOKEY") expect_ok(answer);
    }
    return keys.size();
}

void redis_cluster::end_move(std::uint16_t slot, std::size_t from, std::size_t to) const {
    auto const number = std::to_string(slot);
    expect_ok(nodes_[to]->ask({"CLUSTER", "SETSLOT", number, "NODE", id(to)}));
    // If that was its last slot, it may have become a replica of the other.
    auto const answer = nodes_[from]->ask({"CLUSTER", "SETSLOT", number, "NODE", id(to)});
    if (answer.find("only with masters") == std::string::npos) expect_ok(answer);
}

void redis_cluster::move(std::uint16_t slot, std::size_t from, std::size_t to) const {
    begin_move(slot, from, to);
    while (move_keys(slot, from, to) > 0) {
    }
    end_move(slot, from, to);
}

std::size_t redis_cluster::add_node() {
    start_node();
    introduce(size() - 1, 0);
    wait_until_all_know_each_other();
    poll_until([this] { return is_healthy({size() - 1}); });
    return size() - 1;
}

void redis_cluster::forget(std::size_t node) {
    auto const forgotten = id(node);
    for (std::size_t other = 0; other < size(); ++other) {
        if (other != node) static_cast<void>(nodes_[other]->ask({"CLUSTER", "FORGET", forgotten}));
    }
    forgot_at_ = std::chrono::steady_clock::now();
}

bool redis_cluster::tells_of_forgotten() const {
    auto const version = info_field(nodes_[0]->ask({"INFO", "server"}), "redis_version");
    return !version.starts_with("6.") && !version.starts_with("7.0.");
}

// No command shows when that ends, hence the sleep.
void redis_cluster::wait_until_it_may_be_met() const {
    constexpr std::chrono::seconds blacklist_time{60};  // CLUSTER_BLACKLIST_TTL in Redis
    constexpr std::chrono::seconds rounding{2};         // Redis counts whole seconds
    if (tells_of_forgotten()) std::this_thread::sleep_until(forgot_at_ + blacklist_time + rounding);
}

void redis_cluster::meet(std::size_t node) const {
    wait_until_it_may_be_met();
    // Each separately: for a minute it does not believe the others.
    for (std::size_t other = 0; other < size(); ++other) {
        if (other != node) introduce(node, other);
    }
}

void redis_cluster::introduce(std::size_t node, std::size_t to) const {
    auto const port = std::to_string(nodes_[node]->port());
    expect_ok(nodes_[to]->ask({"CLUSTER", "MEET", "127.0.0.1", port, bus_ports_[node]}));
}

}  // namespace idempo::tests
