// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/store.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>

/// Says it once of each server, however often it is tried again.
class redis_log {
public:
    void operator()(idempo::redis_event const& event) const {
        if (!is_news(event)) return;
        std::ostringstream line;  // one write, since other threads have something to say, too
        line << "charge_server: " << idempo::to_string(event.problem);
        if (!event.endpoint.host.empty()) line << " [" << name_of(event.endpoint) << ']';
        if (!event.words.empty()) line << " (" << event.words << ')';
        if (event.error) line << " (" << event.error.message() << ')';
        bool const is_ready = event.problem == idempo::redis_problem::none;
        if (is_ready && !event.server.has_append_only_file) {
            line << " It has no append-only file: when it is restarted, requests may run twice.";
        }
        if (is_ready && event.server.eviction_policy != "noeviction") {
            line << " It may evict live claims: requests may run twice.";
        }
        line << '\n';
        std::cerr << line.str() << std::flush;
    }

private:
    /// The path of a unix socket, or host and port, an IPv6 address in brackets.
    static std::string name_of(idempo::redis_endpoint const& server) {
        if (server.port == 0) return server.host;
        bool const is_v6 = server.host.find(':') != std::string::npos;
        return (is_v6 ? '[' + server.host + ']' : server.host) + ':' + std::to_string(server.port);
    }

    /// Of the servers, by host and port.
    struct problems {
        std::mutex mutex;
        std::map<std::string, idempo::redis_problem> last;
    };

    /// Where no server was found; that is over when one is.
    static constexpr char const* nobody = ":0";

    bool is_news(idempo::redis_event const& event) const {
        std::lock_guard const lock(known_->mutex);
        auto const server = event.endpoint.host + ':' + std::to_string(event.endpoint.port);
        if (event.problem == idempo::redis_problem::none) known_->last.erase(nobody);
        auto const [last, is_first] = known_->last.try_emplace(server, event.problem);
        return is_first || std::exchange(last->second, event.problem) != event.problem;
    }

    std::shared_ptr<problems> known_ = std::make_shared<problems>();
};
