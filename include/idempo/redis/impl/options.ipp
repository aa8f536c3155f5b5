// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>

#include <idempo/redis/invalid_option.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

namespace idempo {

namespace {

void validate_login(std::string const& user, std::string const& password) {
    if (!user.empty() && password.empty()) redis::refuse_option("a user needs a password");
}

void validate_endpoints(std::vector<redis_endpoint> const& endpoints) {
    constexpr std::size_t max_endpoints = 100;
    if (endpoints.empty() || endpoints.size() > max_endpoints)
        redis::refuse_option("1 to 100 sentinels or nodes can be named");
    for (auto const& each : endpoints) {
        if (each.host.empty()) redis::refuse_option("each sentinel or node needs a host");
        if (each.port == 0) redis::refuse_option("the port must not be 0");
    }
}

void validate_sentinels(redis_sentinels const& sentinels) {
    validate_endpoints(sentinels.endpoints);
    validate_login(sentinels.user, sentinels.password);
    if (sentinels.primary_name.empty()) redis::refuse_option("the sentinels need the name of the primary");
}

void validate_cluster(redis_options const& options) {
    validate_endpoints(options.cluster_nodes);
    if (options.database != 0) redis::refuse_option("a cluster has no database but 0");
    if (options.connections != 1) redis::refuse_option("a cluster has one connection for each primary");
    // https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
    if (options.prefix.find('{') != std::string::npos)
        redis::refuse_option("with a '{' in its prefix a cluster may use one node only");
    if (options.prefix.find('}') != std::string::npos)
        redis::refuse_option("with a '}' in its prefix a cluster cannot keep a record and its mark together");
}

void validate_tls(redis_tls const& tls) {
    if (tls.certificate_file.empty() != tls.key_file.empty())
        redis::refuse_option("a client's certificate_file needs its key_file, and the other way round");
}

void validate_servers(redis_options const& options) {
    constexpr std::size_t longest_unix_path = 107;  // sockaddr_un::sun_path without its zero
    bool const is_unix = !options.unix_path.empty();
    bool const is_cluster = !options.cluster_nodes.empty();
    if (int{is_unix} + int{is_cluster} + int{options.sentinels.has_value()} > 1) {
        redis::refuse_option("unix_path, sentinels and cluster_nodes exclude each other");
    }
    if (options.password_file.empty()) validate_login(options.user, options.password);
    if (!options.password_file.empty() && !options.password.empty())
        redis::refuse_option("password and password_file exclude each other");
    if (options.credentials && !(options.user.empty() && options.password.empty() && options.password_file.empty()))
        redis::refuse_option("credentials excludes user, password and password_file");
    if (is_unix) {
        if (options.unix_path.size() > longest_unix_path) redis::refuse_option("the unix_path is too long");
        if (options.tls) redis::refuse_option("a unix_path excludes tls");
    } else if (is_cluster) {
        validate_cluster(options);
    } else if (options.sentinels) {
        validate_sentinels(*options.sentinels);
    } else {
        if (options.host.empty()) redis::refuse_option("a host or a unix_path is needed");
        if (options.port == 0) redis::refuse_option("the port must not be 0");
    }
}

}  // namespace

std::string_view to_string(redis_problem problem) noexcept {
    switch (problem) {
    case redis_problem::none: return "Redis is ready.";
    case redis_problem::unreachable: return "Redis cannot be reached.";
    case redis_problem::untrusted_certificate: return "The certificate of Redis is not trusted.";
    case redis_problem::not_permitted: return "Redis refuses AUTH, SELECT or INFO.";
    case redis_problem::wrong_protocol: return "What answers is not Redis.";
    case redis_problem::too_old: return "Redis is too old: 6.2 is needed, and 7.2 for WAITAOF.";
    case redis_problem::not_ready: return "Redis is a replica, or still loads its data.";
    case redis_problem::no_sentinel: return "No sentinel answers as it should.";
    case redis_problem::unknown_primary: return "The sentinels know no primary of that name.";
    case redis_problem::no_cluster_known: return "No node says which Redis of the cluster has which keys.";
    case redis_problem::evicts: return "Redis may evict live claims: its maxmemory-policy is not noeviction.";
    case redis_problem::lost: return "The connection to Redis is lost.";
    }
    return "Unknown.";
}

void validate(redis_options const& options) {
    validate_servers(options);
    constexpr std::size_t max_connections = 64;
    if (options.connections == 0 || options.connections > max_connections)
        redis::refuse_option("connections must be 1 to 64");
    if (options.max_pending == 0 || options.max_pending_bytes == 0)
        redis::refuse_option("max_pending and max_pending_bytes must be positive");
    using std::chrono::milliseconds;
    for (auto const span : {options.connect_timeout, options.operation_timeout, options.health_interval}) {
        if (span <= milliseconds::zero() || span > std::chrono::hours{1}) {
            redis::refuse_option(
                "connect_timeout, operation_timeout and health_interval must be positive, and an hour at most");
        }
    }
    if (options.tls) validate_tls(*options.tls);
    if (options.sentinels && options.sentinels->tls) validate_tls(*options.sentinels->tls);
    auto const& name = options.client_name;
    if (std::any_of(name.begin(), name.end(), [](char each) { return each <= ' ' || each > '~'; }))
        redis::refuse_option("the client_name must consist of visible ASCII characters");
    auto const& replicas = options.wait_replicas;
    if (replicas.count == 0 && !replicas.on_disk) return;
    constexpr unsigned max_replicas = 100;
    if (replicas.count > max_replicas) redis::refuse_option("wait_replicas must be 100 at most");
    if (replicas.timeout <= milliseconds::zero() || 2 * replicas.timeout >= options.operation_timeout) {
        redis::refuse_option("the timeout of wait_replicas must be positive, and less than half of operation_timeout");
    }
}

}  // namespace idempo
