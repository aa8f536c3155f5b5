// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>

#include <idempo/redis/connection/connect_fsm.hpp>

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
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

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

/// Carries out what a `connect_fsm` decides.
class tcp_connector : public std::enable_shared_from_this<tcp_connector> {
public:
    using on_done = std::function<void(error_code)>;
    using fsm = connect_fsm;

    /// \param socket lives until `cancel`
    tcp_connector(strand const& executor, tcp::socket& socket, redis_endpoint const& endpoint, dialing const& how)
        : socket_(socket),
          port_(endpoint.port),
          names_(how.names),
          machine_(endpoint.host, how.timeout),
          query_(std::make_shared<name_query>(executor, how.names)),
          timer_(executor) {}

    [[nodiscard]] std::string const& host() const noexcept { return machine_.host(); }

    void connect(on_done const& done) {
        handle(done, [](fsm& machine, fsm::time_point now) { machine.start(now); });
    }

    void cancel() {
        machine_.cancel();
        query_->cancel();
        timer_.cancel();
    }

    void report_failure() {
        if (auto const& dialled = machine_.dialled()) names_->report_failure(host(), *dialled);
    }

private:
    // `done` is kept by what is pending: as a member it would keep its owner, and this object, for ever when the
    // context is destroyed early.
    template <class Event>
    void handle(on_done const& done, Event event) {
        event(machine_, std::chrono::steady_clock::now());
        for (auto const& each : machine_.take_actions())
            std::visit([&](auto const& action) { perform(action, done); }, each);
        watch_time(done);
    }

    void perform(fsm::look_up const& wanted, on_done const& done) {
        query_->start(
            host(), wanted.patience, [self = shared_from_this(), done](error_code error, ip_addresses const& found) {
                self->handle(done, [&](fsm& machine, fsm::time_point now) { machine.on_found(found, error, now); });
            });
    }

    void perform(fsm::dial const& wanted, on_done const& done) {
        socket_.async_connect(
            {wanted.address, port_}, [self = shared_from_this(), done, attempt = wanted.attempt](error_code error) {
                self->handle(done, [&](fsm& machine, fsm::time_point now) { machine.on_result(attempt, error, now); });
            });
    }

    void perform(fsm::hang_up const&, on_done const&) {
        error_code ignored;
        socket_.close(ignored);
    }

    void perform(fsm::report_failure const& wanted, on_done const&) { names_->report_failure(host(), wanted.address); }
    void perform(fsm::report_success const& wanted, on_done const&) { names_->report_success(host(), wanted.address); }

    void perform(fsm::finish const& wanted, on_done const& done) {
        if (!wanted.error) configure();
        done(wanted.error);
    }

    void watch_time(on_done const& done) {
        auto const next = machine_.next_time();
        if (next == watched_) return;
        watched_ = next;
        timer_.cancel();
        if (!next) return;
        timer_.expires_at(*next);
        timer_.async_wait([self = shared_from_this(), done](error_code is_cancelled) {
            if (!is_cancelled) self->handle(done, [](fsm& machine, fsm::time_point now) { machine.on_time(now); });
        });
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
    std::uint16_t port_;
    std::shared_ptr<name_resolver> names_;
    fsm machine_;
    std::shared_ptr<name_query> query_;
    asio::steady_timer timer_;
    std::optional<fsm::time_point> watched_;
};

class tcp_transport final : public stream_transport<tcp::socket> {
public:
    tcp_transport(strand const& executor, redis_endpoint const& endpoint, dialing const& how)
        : stream_transport(executor),
          connector_(std::make_shared<tcp_connector>(executor, stream_, endpoint, how)) {}

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
    tls_transport(strand const& executor, redis_endpoint const& endpoint, dialing const& how)
        : stream_transport(executor, how.tls->context),
          setup_(how.tls),
          connector_(std::make_shared<tcp_connector>(executor, stream_.next_layer(), endpoint, how)) {}

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
    if (!how.tls) return std::make_unique<tcp_transport>(executor, endpoint, how);
    return std::make_unique<tls_transport>(executor, endpoint, how);
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
