#pragma once

#include <idempo/detail/background_thread.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace idempo::tests {

/// A TCP proxy on a free port of this machine that can be told to do to replies what networks and servers do to them.
/// Its orders hold for the connections there are and for those to come, until they are changed. Any thread may give
/// them.
class fault_proxy {
public:
    explicit fault_proxy(std::uint16_t server_port);
    fault_proxy(fault_proxy const&) = delete;
    fault_proxy& operator=(fault_proxy const&) = delete;
    ~fault_proxy();

    [[nodiscard]] std::uint16_t port() const;

    /// Connections that clients have made so far.
    [[nodiscard]] std::size_t connections() const;

    /// Lets so many more bytes of replies through, and closes the connection that brought the last.
    void cut_after(std::size_t bytes);

    /// Lets no reply through, and keeps what comes; `release` lets it go. The client sees a server that is silent.
    void hold();
    void release();

    /// Sends replies one byte at a time.
    void trickle();

    /// Loses each packet that a client sends, a first one too, and tells nobody: what connections there are become half
    /// open. `deliver_packets` ends that, also for them.
    void lose_packets();
    void deliver_packets();

    /// Changes each piece of a reply that is read; for short replies, which come in one piece.
    void rewrite(std::function<void(std::string&)> change);

private:
    class relay;
    std::unique_ptr<detail::background_thread> thread_;
    std::shared_ptr<relay> relay_;  // goes before the context whose sockets it has
};

}  // namespace idempo::tests
