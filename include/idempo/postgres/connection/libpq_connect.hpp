// SPDX-License-Identifier: MIT
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace idempo::postgres {

struct close_libpq {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using libpq_connection = std::unique_ptr<PGconn, close_libpq>;

/// One process of one server. Behind a pooler the number is the pooler's.
struct server_process {
    std::string host{};
    std::string port{};
    int number = 0;

    [[nodiscard]] bool is_beside(server_process const& other) const { return host == other.host && port == other.port; }
};
[[nodiscard]] server_process process_of(PGconn* connection);

/// One address to try, in libpq's words.
struct target {
    std::string host{};
    std::string address{};
    std::string port{};
    std::string session_attributes{};
    bool operator==(target const&) const = default;
};

/// What a connection string says of hosts, as libpq understood it: lists with commas.
struct target_lists {
    std::string hosts{};
    std::string addresses{};
    std::string ports{};
    std::string session_attributes{};
    /// `load_balance_hosts=random`
    bool is_random = false;
};

/// The addresses of a host, in the order in which they should be tried; empty where it is unknown.
using resolver = std::function<std::vector<std::string>(std::string const& host)>;

/// Each address of each host by itself. Empty where the lists do not fit together or leave a host to libpq: then libpq
/// must be given the connection string as it is.
[[nodiscard]] std::vector<target> targets_of(target_lists const& given, resolver const& addresses_of);

/// Connects to the first server of a connection string that answers. libpq gives its whole time to the first host that
/// is silent, since its `connect_timeout` does not act without blocking; so each address is tried by itself.
///
/// May be used from several threads.
class connector {
public:
    /// \param share of each address. Resolving a host name is bounded by the system alone.
    connector(std::string connection_string, std::chrono::milliseconds share);

    /// A connection that has been made, or null after all addresses have failed. Begins with the address that worked
    /// last. Returns soon after `stop` has become true.
    /// \param why receives libpq's words where it fails, which hold no password
    [[nodiscard]] libpq_connection connect(std::atomic<bool> const& stop, std::string& why);

private:
    [[nodiscard]] std::vector<target> targets();
    [[nodiscard]] libpq_connection attempt(target const& to, std::atomic<bool> const& stop, std::string& why) const;

    std::string connection_string_;
    std::chrono::milliseconds share_;
    std::mutex mutex_;
    std::unique_ptr<target_lists> lists_;
    std::atomic<std::size_t> first_{0};
};

}  // namespace idempo::postgres
