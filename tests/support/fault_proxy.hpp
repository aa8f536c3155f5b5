#pragma once

#include <idempo/detail/background_thread.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace idempo::tests {

/// A TCP proxy on a free port of this machine that does to replies, on request, what networks and servers do to them.
/// Its orders apply to present and future connections, until they are changed. Any thread may give them.
class fault_proxy {
public:
    explicit fault_proxy(std::uint16_t server_port);
    fault_proxy(fault_proxy const&) = delete;
    fault_proxy& operator=(fault_proxy const&) = delete;
    ~fault_proxy();

    [[nodiscard]] std::uint16_t port() const;

    /// Connections that clients have made so far.
    [[nodiscard]] std::size_t connections() const;

    /// Lets so many more bytes of replies through, then closes the connection of the last.
    void cut_after(std::size_t bytes);

    /// Holds all replies back until `release`. To the client, the server is silent.
    void hold();
    void release();

    /// Sends replies one byte at a time.
    void trickle();

    /// Silently loses each packet that a client sends, also the first: existing connections become half open.
    /// `deliver_packets` ends that, also for them.
    void lose_packets();
    void deliver_packets();

    /// Changes each piece of a reply as it is read; for short replies, which arrive in one piece.
    void rewrite(std::function<void(std::string&)> change);

private:
    class relay;
    std::unique_ptr<detail::background_thread> thread_;
    std::shared_ptr<relay> relay_;  // destroyed before the context of its sockets
};

}  // namespace idempo::tests
