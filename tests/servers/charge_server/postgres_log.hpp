// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/options.hpp>

#include <atomic>
#include <iostream>
#include <memory>
#include <sstream>

/// Says it once, however often it is tried again.
class postgres_log {
public:
    void operator()(idempo::postgres_event const& event) const {
        if (last_->exchange(event.problem) == event.problem) return;
        std::ostringstream line;  // one write, since other threads have something to say, too
        line << "charge_server: " << idempo::to_string(event.problem);
        if (!event.sqlstate.empty()) line << " (" << event.sqlstate << ')';
        line << '\n';
        std::cerr << line.str() << std::flush;
    }

private:
    using shared_problem = std::atomic<idempo::postgres_problem>;
    std::shared_ptr<shared_problem> last_ = std::make_shared<shared_problem>(idempo::postgres_problem::lost);
};
