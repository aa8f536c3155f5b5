// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/address_book.hpp>

#include <idempo/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace idempo::redis {

/// The addresses of names, as one store knows them: an `address_book` and its lookups. Any thread may call the members.
///
/// `getaddrinfo` cannot be interrupted, and takes ten seconds and more where no name server answers. Each name is
/// looked up on a thread of its own, one lookup at a time, so that a silent name server delays neither other names nor
/// other stores. Nothing ever waits for these threads: they own what they use, and touch nothing else.
class name_resolver : public std::enable_shared_from_this<name_resolver> {
public:
    /// Blocks for as long as it takes.
    using lookup = std::function<ip_addresses(std::string const& host, error_code& error)>;

    /// \param find for tests; by default the operating system's resolver
    explicit name_resolver(lookup find = {});

    /// What is woken when a lookup has ended: a byte can be read from its other end then.
    class waiter {
    public:
        explicit waiter(int socket) noexcept : socket_(socket) {}
        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;
        ~waiter();
        void wake() const noexcept;

    private:
        int socket_;
    };

    /// Looks the name up, unless that is under way already, and wakes the waiter when it is done.
    void begin(std::string const& host, std::weak_ptr<waiter const> wakes);

    /// As `address_book::known`.
    [[nodiscard]] ip_addresses known(std::string const& host, error_code& error) const;

    void report_failure(std::string const& host, asio::ip::address const& address);
    void report_success(std::string const& host, asio::ip::address const& address);

private:
    void look_up(std::string const& host);
    void finish(std::string const& host, ip_addresses found, error_code error);

    lookup lookup_;
    mutable std::mutex mutex_;
    address_book book_;                                                        // guarded by mutex_
    std::map<std::string, std::vector<std::weak_ptr<waiter const>>> waiters_;  // guarded by mutex_
};

/// One question to a name_resolver, for somebody on a strand: every call is made there.
class name_query : public std::enable_shared_from_this<name_query> {
public:
    using strand = asio::strand<asio::any_io_executor>;
    using on_found = std::function<void(error_code, ip_addresses const&)>;

    name_query(strand const& executor, std::shared_ptr<name_resolver> names);

    /// \param patience after which the last known addresses have to do; where there are none, the error is `timed_out`
    /// \param done is called once, on the strand, unless `cancel` was called before
    void start(std::string const& host, std::chrono::milliseconds patience, on_found const& done);

    void cancel();

private:
    void finish(on_found const& done);

    // What is to be called is kept by what is pending, and goes with it: as a member it would keep its owner, and this
    // object, for ever when the context is destroyed early.
    std::shared_ptr<name_resolver> names_;
    std::string host_;
    bool is_over_ = false;
    std::shared_ptr<name_resolver::waiter const> waiter_;
    asio::local::stream_protocol::socket woken_;
    asio::steady_timer timer_;
    std::array<char, 1> byte_{};
};

}  // namespace idempo::redis
