#pragma once

#include <idempo/redis_store.hpp>

#include <atomic>
#include <iostream>
#include <memory>
#include <sstream>

/// Says it once, however often it is tried again.
class redis_log {
public:
    void operator()(idempo::redis_event const& event) const {
        if (last_->exchange(event.problem) == event.problem) return;
        std::ostringstream line;  // one write, since other threads have something to say, too
        line << "charge_server: " << idempo::to_string(event.problem);
        if (!event.endpoint.host.empty()) line << " [" << event.endpoint.host << ':' << event.endpoint.port << ']';
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
    using shared_problem = std::atomic<idempo::redis_problem>;
    std::shared_ptr<shared_problem> last_ = std::make_shared<shared_problem>(idempo::redis_problem::lost);
};
