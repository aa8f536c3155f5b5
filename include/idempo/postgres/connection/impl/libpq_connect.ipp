// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_connect.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Waits until libpq can go on. False at the deadline, or when `stop` has become true.
bool wait_for(int socket, short events, steady_clock::time_point deadline, std::atomic<bool> const& stop) {
    constexpr milliseconds glance{20};
    while (!stop) {
        auto const left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
        if (left <= milliseconds::zero()) return false;
        pollfd waiting{socket, events, 0};
        if (::poll(&waiting, 1, static_cast<int>(std::min(left, glance).count())) > 0) return true;
    }
    return false;
}

std::vector<std::string> split(std::string const& list) {
    std::vector<std::string> parts;
    if (list.empty()) return parts;
    std::size_t from = 0;
    for (auto comma = list.find(','); comma != std::string::npos; comma = list.find(',', from)) {
        parts.push_back(list.substr(from, comma - from));
        from = comma + 1;
    }
    parts.push_back(list.substr(from));
    return parts;
}

/// The one at `place`, where one may stand for all.
std::optional<std::string> at(std::vector<std::string> const& list, std::size_t place, std::size_t count) {
    if (list.empty()) return std::string();
    if (list.size() == 1) return list.front();
    if (list.size() != count) return std::nullopt;
    return list[place];
}

bool is_socket_directory(std::string_view host) { return host.starts_with('/') || host.starts_with('@'); }

std::vector<std::string> addresses_of(std::string const& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owned(found, ::freeaddrinfo);
    std::vector<std::string> addresses;
    for (auto const* each = found; each != nullptr; each = each->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        auto const failed = ::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(),
                                          static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST);
        if (failed == 0) addresses.emplace_back(text.data());
    }
    return addresses;
}

/// `prefer-standby` looks for a standby everywhere before it takes what there is.
std::vector<target> in_preferred_order(std::vector<target> targets) {
    if (targets.empty() || targets.front().session_attributes != "prefer-standby") return targets;
    auto const count = targets.size();
    for (std::size_t place = 0; place < count; ++place) {
        targets.push_back(targets[place]);
        targets.back().session_attributes = "any";
        targets[place].session_attributes = "standby";
    }
    return targets;
}

/// libpq's words for a log: one line.
std::string error_of(PGconn* failed) {
    std::string words = PQerrorMessage(failed);
    while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
    for (auto& each : words) {
        if (each == '\n' || each == '\t') each = ' ';
    }
    return words;
}

struct setting {
    char const* name;
    char const* value;
};

/// What libpq understood, with environment variables and service file.
std::unique_ptr<target_lists> lists_of(PGconn* of) {
    std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> const options(PQconninfo(of), PQconninfoFree);
    auto lists = std::make_unique<target_lists>();
    for (auto const* each = options.get(); each != nullptr && each->keyword != nullptr; ++each) {
        std::string_view const name = each->keyword;
        std::string const value = each->val != nullptr ? each->val : "";
        if (name == "host") lists->hosts = value;
        if (name == "hostaddr") lists->addresses = value;
        if (name == "port") lists->ports = value;
        if (name == "target_session_attrs") lists->session_attributes = value;
        if (name == "load_balance_hosts") lists->is_random = value == "random";
    }
    return lists;
}

libpq_connection begin(std::string const& connection_string, target const& to) {
    // A firewall may forget a connection that is silent for a minute; a server that is gone is found out in 45 s.
    std::array const defaults{
        setting{"fallback_application_name", "idempo"},
        setting{"keepalives_idle", "30"},
        setting{"keepalives_interval", "5"},
        setting{"keepalives_count", "3"},
    };
    std::vector<char const*> names;
    std::vector<char const*> values;
    auto const add = [&](char const* name, char const* value) {
        names.push_back(name);
        values.push_back(value);
    };
    // Of a name that comes twice libpq takes the last one that has a value.
    for (auto const& each : defaults) add(each.name, each.value);
    add("dbname", connection_string.c_str());
    add("host", to.host.c_str());
    add("hostaddr", to.address.c_str());
    add("port", to.port.c_str());
    add("target_session_attrs", to.session_attributes.c_str());
    add(nullptr, nullptr);
    constexpr int expands_dbname = 1;
    return libpq_connection(PQconnectStartParams(names.data(), values.data(), expands_dbname));
}

}  // namespace

server_process process_of(PGconn* connection) {
    auto const text = [](char const* from) { return std::string(from != nullptr ? from : ""); };
    auto host = text(PQhostaddr(connection));
    if (host.empty()) host = text(PQhost(connection));
    return {std::move(host), text(PQport(connection)), PQbackendPID(connection)};
}

std::vector<target> targets_of(target_lists const& given, resolver const& addresses_of) {
    auto const hosts = split(given.hosts);
    auto const addresses = split(given.addresses);
    auto const ports = split(given.ports);
    auto const count = std::max(hosts.size(), addresses.size());
    std::vector<target> targets;
    for (std::size_t place = 0; place < count; ++place) {
        auto const port = at(ports, place, count);
        if (!port || port->empty()) return {};
        if ((!hosts.empty() && hosts.size() != count) || (!addresses.empty() && addresses.size() != count)) return {};
        auto const host = hosts.empty() ? std::string() : hosts[place];
        auto const address = addresses.empty() ? std::string() : addresses[place];
        if (host.empty() && address.empty()) return {};
        if (!address.empty() || is_socket_directory(host)) {
            targets.push_back({host, address, *port, given.session_attributes});
            continue;
        }
        auto const found = addresses_of(host);
        for (auto const& each : found) targets.push_back({host, each, *port, given.session_attributes});
        // libpq says why the name has no address.
        if (found.empty()) targets.push_back({host, {}, *port, given.session_attributes});
    }
    return in_preferred_order(std::move(targets));
}

connector::connector(std::string connection_string, milliseconds share)
    : connection_string_(std::move(connection_string)),
      share_(share) {}

std::vector<target> connector::targets() {
    std::lock_guard const lock(mutex_);
    if (!lists_) {
        libpq_connection const understood = begin(connection_string_, {});
        if (!understood) return {};
        lists_ = lists_of(understood.get());
    }
    auto found = targets_of(*lists_, addresses_of);
    if (lists_->is_random) std::ranges::shuffle(found, std::minstd_rand(std::random_device{}()));
    return found;
}

libpq_connection connector::connect(std::atomic<bool> const& stop, std::string& why) {
    auto all = targets();
    if (all.empty()) all.emplace_back();
    auto const first = first_.load();
    why.clear();
    for (std::size_t tried = 0; tried < all.size() && !stop; ++tried) {
        auto const place = (first + tried) % all.size();
        std::string words;
        if (auto made = attempt(all[place], stop, words)) {
            first_ = place;
            return made;
        }
        (why += why.empty() ? "" : "; ") += words;
    }
    return nullptr;
}

libpq_connection connector::attempt(target const& to, std::atomic<bool> const& stop, std::string& why) const {
    auto const deadline = steady_clock::now() + share_;
    auto connection = begin(connection_string_, to);
    auto const failed = [&](std::string words) {
        why = std::move(words);
        return nullptr;
    };
    if (connection == nullptr) return failed("out of memory");
    if (PQstatus(connection.get()) == CONNECTION_BAD) return failed(error_of(connection.get()));
    // libpq writes what the server has to say to stderr, which is not ours.
    PQsetNoticeProcessor(
        connection.get(), [](void*, char const*) {}, nullptr);
    for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK; next = PQconnectPoll(connection.get())) {
        if (next == PGRES_POLLING_FAILED) return failed(error_of(connection.get()));
        short const events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_for(PQsocket(connection.get()), events, deadline, stop)) {
            auto const at = to.host.empty() ? std::string("the server") : to.host + " " + to.address + " " + to.port;
            return failed(at + " did not answer in " + std::to_string(share_.count()) + " ms");
        }
    }
    return connection;
}

}  // namespace idempo::postgres
