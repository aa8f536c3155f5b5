// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/machine_runner.hpp>
#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/discovery/probe.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>
#include <idempo/redis/discovery/sentinel_watch_fsm.hpp>

#include <idempo/redis/options.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

namespace idempo::redis {

/// Subscribes to one sentinel for changes of the primary, and to the next one when that is silent. Without this, a
/// demoted server that still answers would keep being used. The machine decides everything; this is its socket, its
/// timer and its clock.
///
/// A change between two subscriptions is not missed: each begins with a query.
class sentinel_watch : public std::enable_shared_from_this<sentinel_watch>,
                       private machine_runner<sentinel_watch, sentinel_watch_fsm> {
public:
    /// Where the primary is, as often as it is said. On the watch's own strand, as the next.
    using on_primary = std::function<void(redis_endpoint const&)>;
    /// Called once when no sentinel can be reached; again only after one has been.
    using on_silence = std::function<void()>;

    sentinel_watch(asio::any_io_executor const& executor, std::shared_ptr<sentinel_group const> group, on_primary tell,
                   on_silence report_silence);

    /// \name Called on any thread, and carried out as if by post
    /// @{
    void start();
    /// Nothing is told any more.
    void end();
    /// @}

private:
    using fsm = sentinel_watch_fsm;
    using runner = machine_runner<sentinel_watch, sentinel_watch_fsm>;
    friend runner;

    void perform(fsm::dial const& wanted);
    void perform(fsm::write& wanted);
    void perform(fsm::compare const& wanted);
    void perform(fsm::hang_up const& wanted);
    void perform(fsm::tell const& wanted);
    void perform(fsm::tell_silence const& wanted);
    void flush() {}
    void read_more(std::uint64_t attempt);

    std::shared_ptr<sentinel_group const> group_;
    on_primary tell_;
    on_silence on_silence_;
    std::shared_ptr<probe> comparison_;
    std::array<char, 4096> incoming_{};
};

}  // namespace idempo::redis
