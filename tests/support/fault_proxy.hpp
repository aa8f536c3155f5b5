// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/background_thread.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace idempo::tests {

/// The network between a client and a server, as a TCP proxy on this machine: it can delay, throttle, lose and cut what
/// it carries, and do to replies what servers do to them. Its orders hold for the connections there are and for those
/// to come, until they are changed. Any thread may give them.
class fault_proxy {
public:
    /// \param address where it listens, such as 127.0.0.2: several proxies on one port are the addresses of one name
    /// \param port a free one where it is 0
    explicit fault_proxy(std::uint16_t server_port, std::string const& address = "127.0.0.1", std::uint16_t port = 0);

    /// For a server that listens on a unix socket. Its clients use TCP.
    explicit fault_proxy(std::string const& unix_path);

    fault_proxy(fault_proxy const&) = delete;
    fault_proxy& operator=(fault_proxy const&) = delete;
    ~fault_proxy();

    [[nodiscard]] std::uint16_t port() const;

    /// Connections that clients have made so far.
    [[nodiscard]] std::size_t connections() const;

    /// Distance: each byte takes half of `round_trip` in each direction, and up to half of `jitter` more, at random.
    /// Bytes do not overtake each other.
    void delay(std::chrono::microseconds round_trip, std::chrono::microseconds jitter = {});

    /// Bandwidth of each direction of each connection. What is read from one side waits here, up to a few hundred kB.
    void throttle(std::size_t bytes_per_second);

    /// Closes all connections; the next ones are served. Returns how many it has closed.
    std::size_t cut();

    /// Bytes that clients have sent so far.
    [[nodiscard]] std::size_t request_bytes() const;

    /// Bytes of replies carried so far.
    [[nodiscard]] std::size_t reply_bytes() const;

    /// Lets so many more bytes of replies through, then closes the connection of the last.
    void cut_after(std::size_t bytes);

    /// Holds all replies back until `release`. To the client, the server is silent.
    void hold();
    void release();

    /// Bytes of replies that wait for `release`. A `cut` before that loses them.
    [[nodiscard]] std::size_t held_bytes() const;

    /// Sends replies one byte at a time.
    void trickle();

    /// Silently loses each packet that a client sends, also the first: existing connections become half open.
    /// `deliver_packets` ends that, also for them. Returns how many connections there are.
    std::size_t lose_packets();
    void deliver_packets();

    /// Changes each piece of a reply as it is read; for short replies, which arrive in one piece.
    void rewrite(std::function<void(std::string&)> change);

private:
    class relay;
    std::unique_ptr<detail::background_thread> thread_;
    std::shared_ptr<relay> relay_;  // destroyed before the context of its sockets
};

}  // namespace idempo::tests
