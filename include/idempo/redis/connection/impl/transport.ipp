#pragma once

#include <idempo/redis/connection/transport.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <stdexcept>
#include <string>
#include <utility>

#include <netinet/tcp.h>
#include <sys/socket.h>

namespace idempo::redis {

namespace {

using asio::ip::tcp;
using local = asio::local::stream_protocol;

/// Reading, writing and closing are the same for all streams.
template <class Stream>
class stream_transport : public transport {
public:
    template <class... Arguments>
    explicit stream_transport(Arguments&&... arguments) : stream_(std::forward<Arguments>(arguments)...) {}

    void read(asio::mutable_buffer to, on_transferred done) override { stream_.async_read_some(to, std::move(done)); }

    void write(std::string_view bytes, on_transferred done) override {
        asio::async_write(stream_, asio::buffer(bytes), std::move(done));
    }

    std::size_t write_some_now(std::string_view bytes) override {
        if constexpr (requires { stream_.non_blocking(true); }) {
            error_code error;  // would block, or one that the reader will see as well
            return stream_.write_some(asio::buffer(bytes), error);
        } else {
            return 0;  // OpenSSL's writes are not to be interrupted
        }
    }

    void close() override {
        error_code ignored;
        stream_.lowest_layer().close(ignored);
    }

protected:
    Stream stream_;
};

/// Finds the host's addresses and connects to the first that answers.
class tcp_connector {
public:
    tcp_connector(strand const& executor, redis_endpoint endpoint)
        : resolver_(executor),
          endpoint_(std::move(endpoint)) {}

    [[nodiscard]] std::string const& host() const noexcept { return endpoint_.host; }

    template <class Done>
    void connect(tcp::socket& socket, Done done) {
        // The name of an address needs no resolver, and with it no thread.
        error_code is_name;
        auto const address = asio::ip::make_address(endpoint_.host, is_name);
        if (!is_name) {
            socket.async_connect({address, endpoint_.port}, [&socket, done](error_code error) {
                if (!error) configure(socket);
                done(error);
            });
            return;
        }
        resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port),
                                [&socket, done](error_code error, tcp::resolver::results_type const& found) {
                                    if (error) return done(error);
                                    connect_to_any(socket, found, done);
                                });
    }

    void cancel() { resolver_.cancel(); }

private:
    template <class Done>
    static void connect_to_any(tcp::socket& socket, tcp::resolver::results_type const& found, Done done) {
        asio::async_connect(socket, found, [&socket, done](error_code error, tcp::endpoint const&) {
            if (!error) configure(socket);
            done(error);
        });
    }

    /// Deadlines are ours; these find out about a peer that has gone while nothing is asked.
    static void configure(tcp::socket& socket) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        socket.set_option(asio::socket_base::keep_alive(true), ignored);
        socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(30), ignored);
        socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(10), ignored);
        socket.non_blocking(true, ignored);
    }

    tcp::resolver resolver_;
    redis_endpoint endpoint_;
};

class tcp_transport final : public stream_transport<tcp::socket> {
public:
    tcp_transport(strand const& executor, redis_endpoint endpoint)
        : stream_transport(executor),
          connector_(executor, std::move(endpoint)) {}

    void connect(on_connected done) override { connector_.connect(stream_, std::move(done)); }

    void close() override {
        connector_.cancel();
        stream_transport::close();
    }

private:
    tcp_connector connector_;
};

class unix_transport final : public stream_transport<local::socket> {
public:
    unix_transport(strand const& executor, std::string path) : stream_transport(executor), path_(std::move(path)) {}

    void connect(on_connected done) override {
        stream_.async_connect(local::endpoint(path_), [this, done = std::move(done)](error_code error) {
            error_code ignored;
            if (!error) stream_.non_blocking(true, ignored);
            done(error);
        });
    }

private:
    std::string path_;
};

class tls_transport final : public stream_transport<asio::ssl::stream<tcp::socket>> {
public:
    tls_transport(strand const& executor, redis_endpoint endpoint, std::shared_ptr<tls_setup> setup)
        : stream_transport(executor, setup->context),
          setup_(std::move(setup)),
          connector_(executor, std::move(endpoint)) {}

    void connect(on_connected done) override {
        connector_.connect(stream_.next_layer(), [this, done = std::move(done)](error_code error) {
            if (error) return done(error);
            shake_hands(done);
        });
    }

    void close() override {
        connector_.cancel();
        stream_transport::close();
    }

private:
    void shake_hands(on_connected done) {
        // Server Name Indication is for names: RFC 6066, section 3.
        error_code is_name;
        (void)asio::ip::make_address(connector_.host(), is_name);
        if (is_name) SSL_set_tlsext_host_name(stream_.native_handle(), connector_.host().c_str());
        if (setup_->verify) stream_.set_verify_callback(asio::ssl::host_name_verification(connector_.host()));
        stream_.async_handshake(asio::ssl::stream_base::client, std::move(done));
    }

    std::shared_ptr<tls_setup> setup_;
    tcp_connector connector_;
};

}  // namespace

std::unique_ptr<transport> make_transport(strand executor, redis_endpoint endpoint, std::shared_ptr<tls_setup> tls) {
    if (!tls) return std::make_unique<tcp_transport>(executor, std::move(endpoint));
    return std::make_unique<tls_transport>(executor, std::move(endpoint), std::move(tls));
}

std::unique_ptr<transport> make_unix_transport(strand executor, std::string path) {
    return std::make_unique<unix_transport>(executor, std::move(path));
}

std::shared_ptr<tls_setup> make_tls_setup(redis_tls const& options) {
    auto setup = std::make_shared<tls_setup>(asio::ssl::context(asio::ssl::context::tls_client), options.verify);
    auto& context = setup->context;
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    context.set_verify_mode(options.verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
    error_code error;
    if (options.ca_file.empty()) {
        context.set_default_verify_paths(error);
    } else {
        context.load_verify_file(options.ca_file, error);
    }
    if (error) throw std::invalid_argument("redis: the file with the trusted certificates cannot be read");
    return setup;
}

bool is_certificate_error(error_code error) noexcept {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

}  // namespace idempo::redis
