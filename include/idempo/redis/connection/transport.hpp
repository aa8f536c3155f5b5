// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/name_resolver.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace idempo::redis {

namespace asio = boost::asio;

using strand = asio::strand<asio::any_io_executor>;

/// A stream of bytes to a server: TCP, TLS or a unix socket. One use: it connects, works, and is closed.
/// Its completions run on the strand that it was made with, and every call must be made there.
class transport {
public:
    using on_connected = std::function<void(error_code)>;
    using on_transferred = std::function<void(error_code, std::size_t)>;

    transport() = default;
    transport(transport const&) = delete;
    transport& operator=(transport const&) = delete;
    virtual ~transport() = default;

    /// Resolves, connects and shakes hands; `close` ends it early.
    virtual void connect(on_connected done) = 0;
    virtual void read(asio::mutable_buffer to, on_transferred done) = 0;
    /// All of it. The bytes must live until then.
    virtual void write(std::string_view bytes, on_transferred done) = 0;
    /// What can be written at once, without a completion: its size, which may be 0.
    [[nodiscard]] virtual std::size_t write_some_now(std::string_view bytes) = 0;
    /// What is pending completes with an error. Never waits.
    virtual void close() = 0;
    /// What was connected to did not work: of several addresses of the name, another one comes first next time.
    virtual void report_failure() {}
};

/// What connections over TLS have in common.
struct tls_setup {
    asio::ssl::context context;
    bool verify;
};

/// How a server is reached.
struct dialing {
    /// Not null.
    std::shared_ptr<name_resolver> names;
    /// Null where there is to be no TLS.
    std::shared_ptr<tls_setup> tls;
    /// For finding the addresses and connecting; the addresses of a name share it.
    std::chrono::milliseconds timeout{};
};

/// \throws std::invalid_argument where the certificates or the key cannot be read
[[nodiscard]] std::shared_ptr<tls_setup> make_tls_setup(redis_tls const& options);

[[nodiscard]] std::unique_ptr<transport> make_transport(strand executor, redis_endpoint endpoint, dialing how);

[[nodiscard]] std::unique_ptr<transport> make_unix_transport(strand executor, std::string path);

/// Whether it was the certificate that failed.
[[nodiscard]] bool is_certificate_error(error_code error) noexcept;

}  // namespace idempo::redis
