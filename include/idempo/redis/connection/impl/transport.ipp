// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
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

/// Finds the host's addresses and connects to the first that answers. Each has its share of the time, and so have what
/// follows, TLS and the handshake with the server: none of them uses up the time of the others.
class tcp_connector : public std::enable_shared_from_this<tcp_connector> {
public:
    using on_done = std::function<void(error_code)>;

    /// \param socket lives until `cancel`
    tcp_connector(strand const& executor, tcp::socket& socket, redis_endpoint endpoint, dialing const& how)
        : socket_(socket),
          endpoint_(std::move(endpoint)),
          names_(how.names),
          timeout_(how.timeout),
          query_(std::make_shared<name_query>(executor, how.names)),
          timer_(executor) {}

    [[nodiscard]] std::string const& host() const noexcept { return endpoint_.host; }

    void connect(on_done const& done) {
        ends_ = std::chrono::steady_clock::now() + timeout_;
        // The name of an address needs no resolver, and with it no thread.
        error_code is_name;
        auto const address = asio::ip::make_address(endpoint_.host, is_name);
        if (!is_name) {
            left_ = {address};
            return connect_next(asio::error::host_not_found, done);
        }
        query_->start(endpoint_.host, timeout_ / 2,
                      [self = shared_from_this(), done](error_code error, name_resolver::addresses const& found) {
                          self->left_ = found;
                          self->connect_next(error, done);
                      });
    }

    void cancel() {
        is_over_ = true;
        query_->cancel();
        timer_.cancel();
    }

    void report_failure() {
        if (tried_) names_->report_failure(endpoint_.host, *tried_);
    }

private:
    void connect_next(error_code last_error, on_done const& done) {
        if (is_over_) return;
        if (left_.empty()) return finish(last_error, done);
        tried_ = left_.front();
        left_.erase(left_.begin());
        auto const attempt = ++attempt_;
        auto const time_left = ends_ - std::chrono::steady_clock::now();
        timer_.expires_after(time_left / static_cast<long>(left_.size() + 2));
        timer_.async_wait([self = shared_from_this(), attempt, done](error_code is_cancelled) {
            if (!is_cancelled) self->on_result(attempt, asio::error::timed_out, done);
        });
        socket_.async_connect({*tried_, endpoint_.port}, [self = shared_from_this(), attempt, done](error_code error) {
            self->on_result(attempt, error, done);
        });
    }

    void on_result(unsigned attempt, error_code error, on_done const& done) {
        if (is_over_ || attempt != attempt_) return;
        ++attempt_;
        timer_.cancel();
        if (!error) {
            configure();
            names_->report_success(endpoint_.host, *tried_);
            return finish({}, done);
        }
        report_failure();
        error_code ignored;
        socket_.close(ignored);
        connect_next(error, done);
    }

    void finish(error_code error, on_done const& done) {
        is_over_ = true;
        done(error);
    }

    /// Deadlines are ours; these find out about a peer that has gone while nothing is asked.
    void configure() {
        error_code ignored;
        socket_.set_option(tcp::no_delay(true), ignored);
        socket_.set_option(asio::socket_base::keep_alive(true), ignored);
        socket_.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(30), ignored);
        socket_.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(10), ignored);
        socket_.non_blocking(true, ignored);
    }

    tcp::socket& socket_;
    redis_endpoint endpoint_;
    std::shared_ptr<name_resolver> names_;
    std::chrono::milliseconds timeout_;
    std::shared_ptr<name_query> query_;
    bool is_over_ = false;
    std::chrono::steady_clock::time_point ends_{};
    name_resolver::addresses left_;
    std::optional<asio::ip::address> tried_;
    unsigned attempt_ = 0;
    asio::steady_timer timer_;
};

class tcp_transport final : public stream_transport<tcp::socket> {
public:
    tcp_transport(strand const& executor, redis_endpoint endpoint, dialing const& how)
        : stream_transport(executor),
          connector_(std::make_shared<tcp_connector>(executor, stream_, std::move(endpoint), how)) {}

    ~tcp_transport() override { connector_->cancel(); }

    void connect(on_connected done) override { connector_->connect(done); }

    void close() override {
        connector_->cancel();
        stream_transport::close();
    }

    void report_failure() override { connector_->report_failure(); }

private:
    std::shared_ptr<tcp_connector> connector_;
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
    tls_transport(strand const& executor, redis_endpoint endpoint, dialing const& how)
        : stream_transport(executor, how.tls->context),
          setup_(how.tls),
          connector_(std::make_shared<tcp_connector>(executor, stream_.next_layer(), std::move(endpoint), how)) {}

    ~tls_transport() override { connector_->cancel(); }

    void connect(on_connected done) override {
        connector_->connect([this, done = std::move(done)](error_code error) {
            if (error) return done(error);
            shake_hands(done);
        });
    }

    void close() override {
        connector_->cancel();
        stream_transport::close();
    }

    void report_failure() override { connector_->report_failure(); }

private:
    void shake_hands(on_connected done) {
        // Server Name Indication is for names: RFC 6066, section 3.
        error_code is_name;
        (void)asio::ip::make_address(connector_->host(), is_name);
        if (is_name) SSL_set_tlsext_host_name(stream_.native_handle(), connector_->host().c_str());
        if (setup_->verify) stream_.set_verify_callback(asio::ssl::host_name_verification(connector_->host()));
        stream_.async_handshake(asio::ssl::stream_base::client, std::move(done));
    }

    std::shared_ptr<tls_setup> setup_;
    std::shared_ptr<tcp_connector> connector_;
};

}  // namespace

std::unique_ptr<transport> make_transport(strand executor, redis_endpoint endpoint, dialing how) {
    if (!how.tls) return std::make_unique<tcp_transport>(executor, std::move(endpoint), how);
    return std::make_unique<tls_transport>(executor, std::move(endpoint), how);
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
    if (options.certificate_file.empty()) return setup;
    context.use_certificate_chain_file(options.certificate_file, error);
    if (error) throw std::invalid_argument("redis: the file with the client's certificate cannot be read");
    context.use_private_key_file(options.key_file, asio::ssl::context::pem, error);
    if (error) throw std::invalid_argument("redis: the file with the client's key cannot be read, or does not fit");
    return setup;
}

bool is_certificate_error(error_code error) noexcept {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

}  // namespace idempo::redis
