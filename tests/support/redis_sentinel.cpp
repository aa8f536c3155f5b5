// SPDX-License-Identifier: MIT
#include "support/redis_sentinel.hpp"

#include "support/poll_until.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <csignal>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace idempo::tests {

namespace {

std::vector<std::string> joined(std::vector<std::string> words, std::vector<std::string> const& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::string configuration(std::string const& host, std::uint16_t port) {
    std::ostringstream lines;
    auto const* const name = sentinel_scene::primary_name;
    lines << "sentinel resolve-hostnames yes\n";
    lines << "sentinel announce-hostnames yes\n";
    lines << "sentinel monitor " << name << ' ' << host << ' ' << port << " 2\n";
    lines << "sentinel down-after-milliseconds " << name << " 500\n";
    lines << "sentinel failover-timeout " << name << " 2000\n";
    lines << "sentinel parallel-syncs " << name << " 2\n";
    return lines.str();
}

/// A name such as localhost may resolve to ::1 first, and a sentinel tries only the first address.
std::vector<std::string> listening_on(std::string const& host) {
    if (host == "127.0.0.1") return {};
    return {"--bind", "127.0.0.1", "-::1"};  // the dash: this address need not exist
}

/// The value after a name in an answer that lists names and values.
std::string value_of(std::string const& answer, std::string const& name) {
    auto const found = answer.find(' ' + name + ' ');
    if (found == std::string::npos) return {};
    auto const begin = found + name.size() + 2;
    return answer.substr(begin, answer.find(' ', begin) - begin);
}

/// Empty if it is not running, or hangs up: a sentinel that tells a server to follow another one also makes it
/// disconnect all its clients.
std::string replication_of(redis_server const& server) {
    try {
        return server.ask({"INFO", "replication"});
    } catch (boost::system::system_error const&) {
        return {};
    }
}

bool is_primary(redis_server const& server) { return info_field(replication_of(server), "role") == "master"; }

std::optional<unsigned long long> offset_of(redis_server const& server) {
    auto const offset = info_field(replication_of(server), "master_repl_offset");
    return offset.empty() ? std::nullopt : std::optional(std::stoull(offset));
}

std::size_t occurrences(std::string const& text, std::string const& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

}  // namespace

sentinel_scene::sentinel_scene(settings wanted)
    : host_(std::move(wanted.host)),
      scheme_(wanted.sentinel_flags.empty() ? "redis+sentinel" : "rediss+sentinel") {
    // Over the disk: after a sync without it the primary sends nothing more until the replica's next acknowledgement,
    // up to a second later, while each of them says that the link is up.
    auto flags =
        joined({"--repl-diskless-sync", "no", "--repl-ping-replica-period", "1", "--replica-announce-ip", host_},
               wanted.server_flags);
    flags = joined(std::move(flags), listening_on(host_));
    servers_.emplace_back(flags);
    auto const first_port = servers_.front().port();
    for (std::size_t made = 0; made < wanted.replicas; ++made) {
        servers_.emplace_back(joined({"--replicaof", host_, std::to_string(first_port)}, flags));
    }
    auto const sentinel_flags = joined({"--sentinel"}, listening_on(host_));
    for (std::size_t made = 0; made < sentinel_count; ++made) {
        sentinels_.emplace_back(joined(sentinel_flags, wanted.sentinel_flags), configuration(host_, first_port));
        hasten(sentinels_.back());
        present_.insert(made);
    }
    await_health();
}

// What a sentinel knows of a replica is fresh then when it has to choose one. Not faster: four publishing periods after
// a replica has been promoted the sentinels that have not heard of it put it back, and the one that leads needs a
// second to see it. The pause after a jump of the clock, which a busy machine looks like, is a second rather than
// thirty.
void sentinel_scene::hasten(redis_server const& sentinel) const {
    auto const answer = sentinel.ask({"SENTINEL", "DEBUG", "info-period", "200", "ping-period", "200", "publish-period",
                                      "500", "ask-period", "100", "tilt-period", "1000"});
    if (answer != "OK") throw std::runtime_error("a sentinel cannot be hastened: " + answer);
}

std::size_t sentinel_scene::primary_of(std::size_t sentinel) const {
    auto const answer = sentinels_[sentinel].ask({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary_name});
    auto const port = answer.substr(answer.rfind(' ') + 1);
    auto const found = std::find_if(servers_.begin(), servers_.end(),
                                    [&](redis_server const& each) { return std::to_string(each.port()) == port; });
    if (found == servers_.end()) throw std::runtime_error("a sentinel knows a server that we do not: " + answer);
    return static_cast<std::size_t>(found - servers_.begin());
}

std::optional<std::size_t> sentinel_scene::successor_of(std::size_t old) const {
    auto const found = primary();
    if (found == old || !is_primary(servers_[found])) return std::nullopt;
    bool const is_agreed =
        std::all_of(present_.begin(), present_.end(), [&](std::size_t each) { return primary_of(each) == found; });
    return is_agreed ? std::optional(found) : std::nullopt;
}

std::size_t sentinel_scene::await_successor(std::size_t old) const {
    std::optional<std::size_t> found;
    poll_until([&] { return (found = successor_of(old)).has_value(); });
    return *found;
}

void sentinel_scene::await_health() const {
    poll_until([this] { return is_healthy(); });
}

bool sentinel_scene::is_healthy() const {
    auto const replicas = std::to_string(servers_.size() - 1);
    auto const others = std::to_string(sentinel_count - 1);
    auto const leader = primary();
    for (std::size_t number = 0; number < sentinel_count; ++number) {
        auto const known = sentinels_[number].ask({"SENTINEL", "MASTER", primary_name});
        if (primary_of(number) != leader || value_of(known, "flags") != "master" ||
            value_of(known, "num-slaves") != replicas || value_of(known, "num-other-sentinels") != others) {
            return false;
        }
    }
    return std::all_of(servers_.begin(), servers_.end(), [&](redis_server const& each) {
        auto const state = replication_of(each);
        if (&each == &servers_[leader]) {
            return info_field(state, "role") == "master" && info_field(state, "connected_slaves") == replicas &&
                   occurrences(state, "state=online") == servers_.size() - 1;
        }
        return info_field(state, "master_link_status") == "up" &&
               info_field(state, "master_port") == std::to_string(servers_[leader].port());
    });
}

void sentinel_scene::await_replication() const {
    std::optional<unsigned long long> offset;
    poll_until([&] { return (offset = offset_of(servers_[primary()])).has_value(); });
    poll_until([&] {
        return std::all_of(servers_.begin(), servers_.end(),
                           [&](redis_server const& each) { return offset_of(each) >= offset; });
    });
}

// Asked for again and again: it is refused while one is under way or no replica has been heard of lately, and given up
// where another sentinel, which has not heard of it, puts the promoted replica back.
std::size_t sentinel_scene::fail_over() {
    auto const old = primary();
    std::optional<std::size_t> found;
    poll_until([&] {
        if (primary() == old) sentinels_[*present_.begin()].ask({"SENTINEL", "FAILOVER", primary_name});
        return (found = successor_of(old)).has_value();
    });
    return *found;
}

void sentinel_scene::kill_sentinel(std::size_t number) {
    present_.erase(number);
    sentinels_[number].kill();
}

void sentinel_scene::restart_sentinel(std::size_t number) {
    sentinels_[number].start();
    hasten(sentinels_[number]);
    present_.insert(number);
}

void sentinel_scene::stop_sentinel(std::size_t number) {
    present_.erase(number);
    sentinels_[number].send_signal(SIGSTOP);
}

void sentinel_scene::continue_sentinel(std::size_t number) {
    sentinels_[number].send_signal(SIGCONT);
    present_.insert(number);
}

std::string sentinel_scene::url(std::string_view parameters) const {
    auto text = scheme_ + "://";
    for (auto const& each : sentinels_) {
        if (&each != &sentinels_.front()) text += ',';
        text += host_ + ':' + std::to_string(each.port());
    }
    return text + '/' + primary_name + std::string(parameters);
}

}  // namespace idempo::tests
