// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>

/// The open connections: counted, limited, and told when the server stops. Thread-safe; outlives all connections.
///
/// The server drains by waiting until there are none. `idempo::middleware::drain` would not do: it counts only requests
/// with a key, and not the writing of their responses.
class connection_registry {
public:
    /// Called on the thread that stops the server, under the registry's lock: it may start to end the connection's
    /// read, but not wait for it.
    using stop_function = std::function<void()>;

private:
    struct leave {
        std::list<stop_function>::iterator where;
        void operator()(connection_registry* registry) const { registry->remove(where); }
    };

public:
    /// A connection's place, given back when it is destroyed.
    using place = std::unique_ptr<connection_registry, leave>;

    explicit connection_registry(std::size_t limit) : limit_(limit) {}

    /// Null where all places are taken, and when the server is stopping.
    [[nodiscard]] place enter(stop_function stop);

    /// Ends all waiting for a next request; answers that are under way are still sent.
    void stop();
    [[nodiscard]] bool stopping() const noexcept { return stopping_; }

    /// Returns how many are left in the end.
    [[nodiscard]] std::size_t wait_until_empty(std::chrono::milliseconds timeout);

private:
    void remove(std::list<stop_function>::iterator where);

    std::size_t const limit_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable left_;
    std::list<stop_function> open_;
};
