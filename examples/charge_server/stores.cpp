#include "charge_server/stores.hpp"

#include <idempo/open_store.hpp>

#include <utility>

#ifdef CHARGE_SERVER_HAS_REDIS

#include <idempo/redis_store.hpp>

#include <atomic>
#include <iostream>
#include <memory>
#include <sstream>

namespace {

/// Says it once, however often it is tried again.
class redis_log {
public:
    void operator()(idempo::redis_event const& event) const {
        if (last_->exchange(event.problem) == event.problem) return;
        std::ostringstream line;  // one write, since other threads have something to say, too
        line << "charge_server: " << idempo::to_string(event.problem);
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

}  // namespace

idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url) {
    idempo::redis_scheme redis;
    redis.others.observer = redis_log();
    return idempo::open_store(std::move(executor), url, redis);
}

#else

idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url) {
    return idempo::open_store(std::move(executor), url);
}

#endif
