#include <idempo/redis_options.hpp>

#include <idempo/open_store.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace idempo {

namespace {

[[noreturn]] void refuse(std::string const& sentence) { throw std::invalid_argument("redis: " + sentence); }

int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    refuse("a '%' in the URL must be followed by two hexadecimal digits");
}

std::string decode(std::string_view text) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        if (text.size() - at < 3) refuse("a '%' in the URL must be followed by two hexadecimal digits");
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
        refuse("the " + std::string(what) + " must be a whole number that is not too large");
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
    if (!user) refuse("credentials are written user:password@, or :password@");
    options.user = decode(*user);
    options.password = decode(text);
    if (options.password.empty()) refuse("the password is empty");
}

void read_host(std::string_view text, redis_options& options) {
    std::string_view port;
    if (text.starts_with('[')) {
        auto const end = text.find(']');
        if (end == std::string_view::npos) refuse("the address lacks its ']'");
        options.host = std::string(text.substr(1, end - 1));
        port = text.substr(end + 1);
    } else {
        auto const end = std::min(text.find(':'), text.size());
        options.host = decode(text.substr(0, end));
        port = text.substr(end);
    }
    if (options.host.empty()) refuse("the URL lacks a host");
    if (port.empty()) return;
    if (!port.starts_with(':')) refuse("the host must be followed by a port or a path");
    options.port = parse_number<std::uint16_t>("port", port.substr(1));
}

void read_parameter(std::string_view text, redis_options& options) {
    auto const name = take_before(text, '=');
    if (name == "database") {
        options.database = parse_number<unsigned>("database", text);
    } else if (name == "connections") {
        options.connections = parse_number<std::size_t>("number of connections", text);
    } else if (name == "wait_replicas") {
        options.wait_replicas.count = parse_number<unsigned>("number of replicas", text);
    } else if (name == "prefix") {
        options.prefix = decode(text);
    } else if (name == "ca_file" && options.tls) {
        options.tls->ca_file = decode(text);
    } else if (name == "verify" && text == "none" && options.tls) {
        options.tls->verify = false;
    } else if (name == "allow_eviction" && (text == "true" || text == "false")) {
        options.allow_eviction = text == "true";
    } else {
        refuse("the URL has a parameter that is not database, connections, prefix, wait_replicas, allow_eviction or, "
               "for rediss:, ca_file or verify=none");
    }
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

std::string_view to_string(redis_problem problem) noexcept {
    switch (problem) {
    case redis_problem::none: return "Redis is ready.";
    case redis_problem::unreachable: return "Redis cannot be reached.";
    case redis_problem::untrusted_certificate: return "The certificate of Redis is not trusted.";
    case redis_problem::not_permitted: return "Redis refuses AUTH, SELECT or INFO.";
    case redis_problem::wrong_protocol: return "What answers is not Redis.";
    case redis_problem::too_old: return "Redis is older than 6.2.";
    case redis_problem::not_ready: return "Redis is a replica, or still loads its data.";
    case redis_problem::evicts: return "Redis may evict live claims: its maxmemory-policy is not noeviction.";
    case redis_problem::lost: return "The connection to Redis is lost.";
    }
    return "Unknown.";
}

redis_options parse_redis_url(std::string_view url, redis_options others) {
    auto options = std::move(others);
    auto const scheme = url_scheme(url);
    bool const is_unix = scheme == "redis+unix";
    bool const is_tls = scheme == "rediss";
    if (!is_unix && !is_tls && scheme != "redis") refuse("the URL begins with redis:, rediss: or redis+unix:");
    auto rest = url.substr(scheme.size() + 1);
    if (!rest.starts_with("//")) refuse("the scheme is followed by two slashes, as in redis://localhost");
    rest.remove_prefix(2);
    if (is_tls && !options.tls) options.tls.emplace();

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
    if (is_unix) {
        if (!authority.empty()) refuse("a unix socket has no host: redis+unix:///path");
        options.unix_path = decode(path);
        if (options.unix_path.empty()) refuse("the URL lacks the path of the socket");
    } else {
        read_host(authority, options);
        if (path.size() > 1) options.database = parse_number<unsigned>("database", path.substr(1));
    }
    if (!parameters.empty()) read_parameters(parameters, options);
    validate(options);
    return options;
}

void validate(redis_options const& options) {
    constexpr std::size_t longest_unix_path = 107;  // sockaddr_un::sun_path without its zero
    constexpr std::size_t most_connections = 64;
    if (options.host.empty() && options.unix_path.empty()) refuse("a host or a unix_path is needed");
    if (options.unix_path.size() > longest_unix_path) refuse("the unix_path is too long");
    if (!options.unix_path.empty() && options.tls) refuse("a unix_path excludes tls");
    if (options.unix_path.empty() && options.port == 0) refuse("the port must not be 0");
    if (!options.user.empty() && options.password.empty()) refuse("a user needs a password");
    if (options.connections == 0 || options.connections > most_connections) refuse("connections must be 1 to 64");
    if (options.max_pending == 0) refuse("max_pending must be positive");
    using std::chrono::milliseconds;
    for (auto const span : {options.connect_timeout, options.operation_timeout, options.health_interval}) {
        if (span <= milliseconds::zero() || span > std::chrono::hours{1}) {
            refuse("connect_timeout, operation_timeout and health_interval must be positive, and an hour at most");
        }
    }
    auto const& replicas = options.wait_replicas;
    if (replicas.count == 0) return;
    constexpr unsigned most_replicas = 100;
    if (replicas.count > most_replicas) refuse("wait_replicas must be 100 at most");
    if (replicas.timeout <= milliseconds::zero() || 2 * replicas.timeout >= options.operation_timeout) {
        refuse("the timeout of wait_replicas must be positive, and less than half of operation_timeout");
    }
}

}  // namespace idempo
