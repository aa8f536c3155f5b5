// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/discovery/probe.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace idempo::redis {

/// Subscribes to one sentinel for changes of the primary, and to the next one when that is silent. Without this, a
/// demoted server that still answers would keep being used.
///
/// A change between two subscriptions is not missed: each begins with a query.
class sentinel_watch : public std::enable_shared_from_this<sentinel_watch> {
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
    void subscribe();
    void write(std::string bytes);
    void read_more();
    void on_bytes(std::string_view bytes);
    void listen();
    void compare();
    void keep_alive();
    void drop_link();
    void give_up();
    /// `then` runs when the time is over, unless the link is another by then.
    template <class Then>
    void set_timer(std::chrono::milliseconds span, Then then);

    std::shared_ptr<sentinel_group const> group_;
    on_primary tell_;
    on_silence on_silence_;
    strand strand_;

    bool has_ended_ = false;
    std::size_t sentinel_ = 0;  // the number of the one that is listened to
    std::size_t failures_ = 0;  // since one would do
    std::shared_ptr<transport> transport_;
    std::unique_ptr<reply_reader> reader_;
    std::shared_ptr<probe> comparison_;
    std::array<char, 4096> incoming_{};
    bool is_writing_ = false;
    bool is_heard_ = false;  // since the last look
    detail::backoff backoff_;
    std::chrono::steady_clock::time_point subscribed_since_;
    asio::steady_timer timer_;
};

}  // namespace idempo::redis
