// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo {

/// Where a server is.
struct redis_endpoint {
    /// A name or an address. A name is resolved anew for each connection, on a thread of the store's own; while that
    /// takes too long, its last known addresses are used. Each address has its share of `connect_timeout`, those that
    /// worked last come first.
    std::string host = "127.0.0.1";
    /// 0 in an event about a unix socket, whose path is the host there.
    std::uint16_t port = 6379;

    friend bool operator==(redis_endpoint const&, redis_endpoint const&) = default;
};

/// What a Redis server says of itself (INFO) when a connection is made.
struct redis_server_info {
    /// As in 7.0.15; 0.0.0 where it does not say.
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;
    bool is_primary = false;
    bool is_loading = false;
    /// `maxmemory-policy`; empty where it does not say. Anything but `noeviction` may evict live claims.
    std::string eviction_policy;
    /// Whether there is an append-only file. Without one a restart loses the latest claims.
    bool has_append_only_file = false;
};

/// What may be wrong with a server, or with the way to it.
enum class redis_problem {
    none,
    /// Not resolved, refused, timed out, or cut off before it had introduced itself.
    unreachable,
    /// The certificate is not to be trusted, or is for another host.
    untrusted_certificate,
    /// AUTH or SELECT was refused, or INFO is needed and not permitted; or the credentials could not be read.
    not_permitted,
    /// Not an answer of Redis.
    wrong_protocol,
    /// Older than 6.2, or than 7.2 where `redis_replica_wait::on_disk` is set.
    too_old,
    /// A replica, or a server that still loads its data.
    not_ready,
    /// No sentinel answers as it should. Where that is said while a connection works: a failover is noticed only when
    /// the connection fails.
    no_sentinel,
    /// The sentinels know no primary of that name.
    unknown_primary,
    /// No node of the cluster has told which node has which keys.
    no_cluster_known,
    /// The eviction policy may remove live claims, and `redis_options::allow_eviction` is false.
    evicts,
    /// A connection that worked has ended: closed, out of step, without an answer for too long, or of no more use.
    lost,
};

/// A sentence for a log.
[[nodiscard]] std::string_view to_string(redis_problem problem) noexcept;

/// Told when a connection is ready (`problem` is `none`), when an attempt has failed, and when a connection is lost.
struct redis_event {
    redis_problem problem = redis_problem::none;
    /// Where the operating system or OpenSSL has said something; else clear.
    error_code error;
    /// What is known of the server.
    redis_server_info server;
    /// Which one it is: with Sentinel or a cluster, one that was found. The host is empty where none was found.
    redis_endpoint endpoint;
    /// The server's own words where it refused something, without any secret; at most 200 bytes. Else empty.
    std::string words{};
};

/// How the server's certificate is checked, and what this client shows for itself. The files are read when the store is
/// made.
struct redis_tls {
    /// PEM file with the certificates to trust; empty: those of the system.
    std::string ca_file;
    /// False trusts anybody. For tests only.
    bool verify = true;
    /// PEM file with this client's certificate chain, for a server with `tls-auth-clients yes`, which is its default.
    /// Empty: none.
    std::string certificate_file{};
    /// PEM file with the private key of that certificate.
    std::string key_file{};
};

/// For AUTH.
struct redis_credentials {
    /// Empty: the default user.
    std::string user;
    /// Empty: no AUTH.
    std::string password;
};

/// How many replicas must have a claim or a completed record before it counts, by `WAIT`: one for each write, after all
/// that it holds. With fewer within `timeout`, Claim and Complete fail with `error::store_unavailable`; the middleware
/// then abandons the claim, or tries to complete again. It narrows what a failover can lose, and does not close it: the
/// replica that is promoted must be one of those that had answered.
/// https://redis.io/docs/latest/commands/wait/
struct redis_replica_wait {
    /// 0: nothing is waited for.
    unsigned count = 0;
    /// While it lasts, nothing else is answered on that connection. Less than half of `operation_timeout`.
    std::chrono::milliseconds timeout{100};
    /// `WAITAOF` instead: the append-only file of the server, and of so many replicas, must have been flushed to disk.
    /// A `count` of 0 waits for the server alone. Needs Redis 7.2 and `appendonly yes`. It closes the second that
    /// `appendfsync everysec` can lose, for a wait of up to a second: set `timeout` and `operation_timeout`
    /// accordingly. https://redis.io/docs/latest/commands/waitaof/
    bool on_disk = false;
};

/// A primary that Sentinel watches, and replaces when it fails.
/// https://redis.io/docs/latest/develop/reference/sentinel-clients/
struct redis_sentinels {
    /// They are asked one after the other until one knows the primary: each has its share of `connect_timeout`.
    std::vector<redis_endpoint> endpoints;
    /// As in the `sentinel monitor` line of their configuration.
    std::string primary_name;
    /// Of the sentinels themselves.
    std::string user{};
    std::string password{};
    std::optional<redis_tls> tls{};
};

/// Where the server is, and how the store uses it.
struct redis_options {
    /// As in `redis_endpoint`.
    std::string host = "127.0.0.1";
    std::uint16_t port = 6379;
    /// Where not empty: a unix socket instead of host and port.
    std::string unix_path{};
    /// Where there is a value: the primary that they name, instead of host and port.
    std::optional<redis_sentinels> sentinels{};
    /// Where not empty: a Redis Cluster, instead of host and port. Until one of them has answered, operations fail; the
    /// other nodes are learned.
    std::vector<redis_endpoint> cluster_nodes{};
    std::optional<redis_tls> tls{};
    /// Sent with AUTH where the password is not empty; a user needs Redis 6.
    std::string user{};
    std::string password{};
    /// Where not empty: a file whose first line is the password, read at each connection, so that a rotation needs no
    /// restart. Excludes `password`.
    std::string password_file{};
    /// Where set: called for each connection, on the executor, and must not block; what it throws makes the attempt
    /// fail. For tokens that expire. Excludes `user`, `password` and `password_file`.
    std::function<redis_credentials()> credentials{};
    unsigned database = 0;
    /// What `CLIENT LIST` shows for the connections; a server that refuses `CLIENT SETNAME` is used all the same. No
    /// spaces. Empty: none.
    std::string client_name = "idempo";

    /// Each store key always uses the same one of them. One is enough for hundreds of thousands of claims a second. A
    /// cluster has one for each primary.
    std::size_t connections = 1;
    /// For resolving, connecting, TLS and the first questions together.
    std::chrono::milliseconds connect_timeout{1000};
    /// Of an operation, from the call to its answer. Less than half of the shortest lease, or its answer may be too
    /// late to be of use. A connection without an answer for twice as long is given up. What stores or fetches a
    /// response of more than 64 KiB has so long from the last such response that has arrived, ten times at most.
    std::chrono::milliseconds operation_timeout{1000};
    /// Operations that one connection may have; one more is refused with `error::store_unavailable`. As much again is
    /// reserved for Renew, Complete and Abandon: claims never crowd them out.
    std::size_t max_pending = 10'000;
    /// What the operations of one connection may keep in memory, mostly records on their way to Redis. More is refused
    /// as above, except Renew, Abandon, and a record that is alone.
    std::size_t max_pending_bytes = std::size_t{64} * 1024 * 1024;
    redis_replica_wait wait_replicas{};
    /// How often to re-check a healthy server's role and eviction policy, which can change while it runs. Also serves
    /// as a keep-alive on idle connections.
    std::chrono::milliseconds health_interval{60'000};
    /// Of every key in Redis.
    std::string prefix = "idempo:";
    /// Use a server whose `maxmemory-policy` is not `noeviction`: it may evict live claims, and requests run twice.
    bool allow_eviction = false;
    /// Claim by the script alone, as on servers older than 7.0: for one that says it is newer and has no `SET … NX
    /// GET`.
    bool claim_by_script = false;
    /// Called on the executor, concurrently for different connections; what it throws is swallowed.
    std::function<void(redis_event const&)> observer{};
};

/// \throws std::invalid_argument with a sentence where they make no sense.
void validate(redis_options const& options);

}  // namespace idempo
