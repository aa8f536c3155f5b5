// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/url.hpp>

#include <idempo/redis/invalid_option.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace idempo {

namespace {

int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    redis::refuse_option("a '%' in the URL must be followed by two hexadecimal digits");
}

std::string decode(std::string_view text) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        if (text.size() - at < 3) redis::refuse_option("a '%' in the URL must be followed by two hexadecimal digits");
        decoded += static_cast<char>(16 * hex_digit(text[at + 1]) + hex_digit(text[at + 2]));
        at += 2;
    }
    return decoded;
}

template <class Number>
Number parse_number(std::string_view what, std::string_view text) {
    Number number{};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
        redis::refuse_option("the " + std::string(what) + " must be a whole number that is not too large");
    }
    return number;
}

/// Takes what stands before `separator`, and the separator; nothing where there is none.
std::optional<std::string_view> take_before(std::string_view& text, char separator) {
    auto const found = text.find(separator);
    if (found == std::string_view::npos) return std::nullopt;
    auto const before = text.substr(0, found);
    text.remove_prefix(found + 1);
    return before;
}

void read_credentials(std::string_view text, redis_options& options) {
    auto const user = take_before(text, ':');
    if (!user) redis::refuse_option("credentials are written user:password@, or :password@");
    options.user = decode(*user);
    options.password = decode(text);
    if (options.password.empty()) redis::refuse_option("the password is empty");
}

/// `host`, `host:port` or `[address]:port`.
redis_endpoint parse_endpoint(std::string_view text, std::uint16_t default_port) {
    redis_endpoint endpoint{.port = default_port};
    std::string_view port;
    if (text.starts_with('[')) {
        auto const end = text.find(']');
        if (end == std::string_view::npos) redis::refuse_option("the address lacks its ']'");
        endpoint.host = std::string(text.substr(1, end - 1));
        port = text.substr(end + 1);
    } else {
        auto const end = std::min(text.find(':'), text.size());
        endpoint.host = decode(text.substr(0, end));
        port = text.substr(end);
    }
    if (endpoint.host.empty()) redis::refuse_option("the URL lacks a host");
    if (port.empty()) return endpoint;
    if (!port.starts_with(':')) redis::refuse_option("the host must be followed by a port or a path");
    endpoint.port = parse_number<std::uint16_t>("port", port.substr(1));
    return endpoint;
}

std::vector<redis_endpoint> parse_endpoints(std::string_view text, std::uint16_t default_port) {
    std::vector<redis_endpoint> endpoints;
    while (auto const one = take_before(text, ',')) endpoints.push_back(parse_endpoint(*one, default_port));
    endpoints.push_back(parse_endpoint(text, default_port));
    return endpoints;
}

void read_database(std::string_view text, redis_options& options) {
    if (!text.empty()) options.database = parse_number<unsigned>("database", text);
}

/// Where the servers are: what stands between the credentials and the parameters.
void read_servers(std::string_view kind, std::string_view hosts, std::string_view path, redis_options& options) {
    constexpr std::uint16_t sentinel_port = 26379;
    options.unix_path.clear();
    options.cluster_nodes.clear();
    if (kind != "sentinel") options.sentinels.reset();
    if (kind == "unix") {
        if (!hosts.empty()) redis::refuse_option("a unix socket has no host: redis+unix:///path");
        options.unix_path = decode(path);
        if (options.unix_path.empty()) redis::refuse_option("the URL lacks the path of the socket");
        return;
    }
    path.remove_prefix(std::min<std::size_t>(1, path.size()));
    if (kind == "sentinel") {
        options.sentinels->endpoints = parse_endpoints(hosts, sentinel_port);
        auto const name = take_before(path, '/');
        options.sentinels->primary_name = decode(name.value_or(path));
        if (name) read_database(path, options);
    } else if (kind == "cluster") {
        options.cluster_nodes = parse_endpoints(hosts, redis_endpoint().port);
        read_database(path, options);
    } else {
        auto endpoint = parse_endpoint(hosts, options.port);
        options.host = std::move(endpoint.host);
        options.port = endpoint.port;
        read_database(path, options);
    }
}

/// Of the sentinels themselves. False: the parameter is none of these.
bool read_sentinel_parameter(std::string_view name, std::string_view text, redis_sentinels& sentinels) {
    if (name == "sentinel_user") {
        sentinels.user = decode(text);
    } else if (name == "sentinel_password") {
        sentinels.password = decode(text);
    } else if (name == "sentinel_tls" && text == "none") {
        sentinels.tls.reset();
    } else {
        return false;
    }
    return true;
}

/// `500ms`, `2s`, or a number of milliseconds.
std::chrono::milliseconds parse_span(std::string_view what, std::string_view text) {
    unsigned factor = 1;
    if (text.ends_with("ms")) {
        text.remove_suffix(2);
    } else if (text.ends_with('s')) {
        text.remove_suffix(1);
        factor = 1000;
    }
    return std::chrono::milliseconds(std::uint64_t{factor} * parse_number<std::uint32_t>(what, text));
}

/// False: the parameter is none of these.
bool read_tls_parameter(std::string_view name, std::string_view text, redis_tls& tls) {
    if (name == "ca_file") {
        tls.ca_file = decode(text);
    } else if (name == "certificate_file") {
        tls.certificate_file = decode(text);
    } else if (name == "key_file") {
        tls.key_file = decode(text);
    } else if (name == "verify" && text == "none") {
        tls.verify = false;
    } else {
        return false;
    }
    return true;
}

bool read_login_parameter(std::string_view name, std::string_view text, redis_options& options) {
    if (name == "user") {
        options.user = decode(text);
    } else if (name == "password_file") {
        options.password_file = decode(text);
    } else if (name == "client_name") {
        options.client_name = decode(text);
    } else {
        return false;
    }
    return true;
}

bool read_time_parameter(std::string_view name, std::string_view text, redis_options& options) {
    if (name == "connect_timeout") {
        options.connect_timeout = parse_span(name, text);
    } else if (name == "operation_timeout") {
        options.operation_timeout = parse_span(name, text);
    } else if (name == "wait_timeout") {
        options.wait_replicas.timeout = parse_span(name, text);
    } else {
        return false;
    }
    return true;
}

bool read_use_parameter(std::string_view name, std::string_view text, redis_options& options) {
    bool const is_flag = text == "true" || text == "false";
    if (name == "database") {
        options.database = parse_number<unsigned>(name, text);
    } else if (name == "connections") {
        options.connections = parse_number<std::size_t>("number of connections", text);
    } else if (name == "wait_replicas") {
        options.wait_replicas.count = parse_number<unsigned>("number of replicas", text);
    } else if (name == "wait_on_disk" && is_flag) {
        options.wait_replicas.on_disk = text == "true";
    } else if (name == "prefix") {
        options.prefix = decode(text);
    } else if (name == "allow_eviction" && is_flag) {
        options.allow_eviction = text == "true";
    } else {
        return false;
    }
    return true;
}

void read_parameter(std::string_view text, redis_options& options) {
    auto const name = take_before(text, '=');
    if (name && options.tls && read_tls_parameter(*name, text, *options.tls)) {
        if (options.sentinels && options.sentinels->tls) read_tls_parameter(*name, text, *options.sentinels->tls);
        return;
    }
    bool const is_known =
        name && (read_use_parameter(*name, text, options) || read_login_parameter(*name, text, options) ||
                 read_time_parameter(*name, text, options) ||
                 (options.sentinels && read_sentinel_parameter(*name, text, *options.sentinels)));
    if (is_known) return;
    redis::refuse_option(
        "the URL has a parameter that is not database, connections, prefix, wait_replicas, wait_on_disk, "
        "wait_timeout, connect_timeout, operation_timeout, allow_eviction, user, password_file, client_name or, for "
        "rediss:, ca_file, certificate_file, key_file or verify=none, or, for Sentinel, sentinel_user, "
        "sentinel_password or sentinel_tls=none");
}

void read_parameters(std::string_view text, redis_options& options) {
    while (true) {
        auto const end = text.find('&');
        read_parameter(text.substr(0, end), options);
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

bool is_redis_scheme(std::string_view scheme) noexcept {
    constexpr std::array<std::string_view, 7> schemes = {
        "redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"};
    return std::find(schemes.begin(), schemes.end(), scheme) != schemes.end();
}

redis_options parse_redis_url(std::string_view url, redis_options others) {
    auto options = std::move(others);
    auto const scheme = url_scheme(url);
    if (!is_redis_scheme(scheme)) {
        redis::refuse_option(
            "the URL begins with redis:, rediss:, redis+unix:, redis+sentinel:, redis+cluster:, rediss+sentinel: or "
            "rediss+cluster:");
    }
    std::string_view kind = scheme;
    bool const is_tls = take_before(kind, '+').value_or(kind) == "rediss";
    auto rest = url.substr(scheme.size() + 1);
    if (!rest.starts_with("//")) redis::refuse_option("the scheme is followed by two slashes, as in redis://localhost");
    rest.remove_prefix(2);
    if (is_tls && !options.tls) options.tls.emplace();
    if (kind == "sentinel") {
        if (!options.sentinels) options.sentinels.emplace();
        if (is_tls && !options.sentinels->tls) options.sentinels->tls = options.tls;
    }

    auto const question = std::min(rest.find('?'), rest.size());
    auto const parameters = rest.substr(std::min(question + 1, rest.size()));
    auto authority = rest.substr(0, question);
    auto const slash = std::min(authority.find('/'), authority.size());
    auto const path = authority.substr(slash);
    authority = authority.substr(0, slash);
    if (auto const at = authority.rfind('@'); at != std::string_view::npos) {
        read_credentials(authority.substr(0, at), options);
        authority.remove_prefix(at + 1);
    }
    read_servers(kind, authority, path, options);
    if (!parameters.empty()) read_parameters(parameters, options);
    validate(options);
    return options;
}

}  // namespace idempo
