// SPDX-License-Identifier: MIT
#include "servers/charge_server/flags.hpp"

#include "servers/charge_server/duration.hpp"

#ifdef CHARGE_SERVER_HAS_METRICS
#include "servers/charge_server/server_metrics.hpp"
#endif

#ifdef CHARGE_SERVER_HAS_JSON
#include <idempo/json/canonical_json.hpp>
#endif
#include <idempo/digest_key.hpp>
#include <idempo/observer.hpp>
#include <idempo/request_head.hpp>
#include <idempo/tracer.hpp>

#include <CLI/CLI.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

/// The flags as they were written. What changes `idempo::options` is optional, since the profile comes first.
struct written_flags {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    unsigned threads = std::max(1U, std::thread::hardware_concurrency());
    std::size_t max_connections = 4096;
    std::string store = "memory:";
    bool migrate = false;
    std::string style = "awaitable";
    std::string profile = "ietf";
    std::optional<std::string> methods;
    std::optional<std::string> header;
    bool require_key = false;
    std::optional<std::string> lease;
    std::optional<std::string> heartbeat;
    std::optional<std::string> retention;
    std::optional<std::string> wait;
    std::optional<std::string> persist_timeout;
    bool guard = false;
    std::optional<std::string> on_throw;
    std::string scope = "credential";
    std::vector<std::string> digest_key_files;
    std::optional<std::string> previous_scope;
    std::vector<std::string> previous_digest_key_files;
    bool previous_without_digest_key = false;
    bool per_endpoint = false;
    std::string bodies = "content";
    bool no_middleware = false;
    bool log = false;
    bool keep_traceparent = false;
    bool metrics = false;
    std::string trace;
};

void add_server_flags(CLI::App& app, written_flags& written) {
    app.add_option("--address", written.address, "Where to listen")->capture_default_str();
    app.add_option("--port", written.port, "0: any free one, which is printed")->capture_default_str();
    app.add_option("--threads", written.threads, "Of the callback and awaitable styles")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.add_option("--max-connections", written.max_connections, "More are answered 503")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--store", written.store,
                   "memory:[?max_records=N&max_bytes=N], redis://…, rediss://…, redis+unix://…, "
                   "redis+sentinel://…, rediss+sentinel://…, redis+cluster://…, rediss+cluster://… or postgresql://…")
        ->capture_default_str();
    app.add_flag("--migrate", written.migrate, "Prepare the store, and exit");
    app.add_option("--style", written.style, "sync, callback or awaitable; sync has a thread for each connection")
        ->capture_default_str();
    app.add_flag("--no-middleware", written.no_middleware, "The same routes without idempotency, to compare");
    app.add_flag("--log", written.log, "What becomes of each keyed request, on standard error");
    app.add_option("--trace", written.trace, "A file, at whose end the trace is written: see docs/traces.md");
    app.add_flag("--keep-traceparent", written.keep_traceparent,
                 "Keep the traceparent of each first request; --log prints it");
#ifdef CHARGE_SERVER_HAS_METRICS
    app.add_flag("--metrics", written.metrics, "GET /metrics: the same, counted and timed, for Prometheus");
#endif
}

void add_identity_flags(CLI::App& app, written_flags& written) {
    app.add_option("--digest-key-file", written.digest_key_files,
                   "A file with a secret for digests; again for older secrets [none: SHA-256]");
    app.add_option("--previous-scope", written.previous_scope,
                   "Records may be under this scope, too: that of the release before, or of the next one");
    auto* const files = app.add_option("--previous-digest-key-file", written.previous_digest_key_files,
                                       "Records may be under this secret and --previous-scope");
    app.add_flag("--previous-without-digest-key", written.previous_without_digest_key,
                 "Records may be from before the first secret")
        ->excludes(files);
}

void add_idempotency_flags(CLI::App& app, written_flags& written) {
    app.add_option("--profile", written.profile, "ietf or stripe; the flags below change it, wherever they stand")
        ->capture_default_str();
    app.add_option("--methods", written.methods, "Comma-separated [POST,PUT,PATCH; stripe: POST]");
    app.add_option("--header", written.header, "The field with the key [Idempotency-Key]");
    app.add_flag("--require-key", written.require_key, "A request without a key is answered 400");
    app.add_option("--lease", written.lease, "How long a claim lasts without renewal [30s]");
    app.add_option("--heartbeat", written.heartbeat, "on or off: renew the lease while the handler runs [on]");
    app.add_option("--retention", written.retention, "How long a response is kept [24h]");
    app.add_option("--wait", written.wait, "How long a retry waits for the first request before 409 [0s]");
    app.add_option("--persist-timeout", written.persist_timeout, "How long storing a response is tried [10s]");
    app.add_flag("--guard", written.guard, "A key that has been used is answered 409 instead of replayed");
    app.add_option("--on-throw", written.on_throw, "release, hold or store-500 [release; stripe: store-500]");
    app.add_option("--scope", written.scope, "credential, single or header:NAME: whose key it is")
        ->capture_default_str();
    add_identity_flags(app, written);
    app.add_flag("--per-endpoint", written.per_endpoint, "Each method and path has keys of its own");
    app.add_option("--bodies", written.bodies, "content, exact or json: when two bodies are the same")
        ->capture_default_str();
}

template <class Value>
Value choose(std::string_view flag, std::string const& word, std::map<std::string, Value> const& choices) {
    auto const found = choices.find(word);
    if (found != choices.end()) return found->second;
    std::string known;
    for (auto const& choice : choices) known += (known.empty() ? "" : ", ") + choice.first;
    throw std::invalid_argument(std::string(flag) + ": '" + word + "' is none of " + known);
}

boost::asio::ip::address parse_address(std::string const& text) {
    boost::system::error_code error;
    auto address = boost::asio::ip::make_address(text, error);
    if (error) throw std::invalid_argument("--address: '" + text + "' is not an IP address");
    return address;
}

idempo::method_set parse_methods(std::string_view list) {
    idempo::method_set methods{};
    while (true) {
        auto const comma = std::min(list.find(','), list.size());
        auto const name = list.substr(0, comma);
        auto const method = idempo::http::string_to_verb(name);
        if (method == idempo::http::verb::unknown) {
            throw std::invalid_argument("--methods: '" + std::string(name) + "' is not an HTTP method");
        }
        methods.insert(method);
        if (comma == list.size()) return methods;
        list.remove_prefix(comma + 1);
    }
}

idempo::scope principal_in(std::string name) {
    return idempo::scope::principal([name = std::move(name)](idempo::request_head const& head) {
        bool const clear = head.count(name) == 1;  // a proxy may have checked either of two
        return clear ? std::optional(std::string(head.field(name))) : std::nullopt;
    });
}

bool is_field_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char character) {
        return std::isalnum(character) != 0 || character == '-' || character == '_';
    });
}

idempo::scope scope_of(std::string_view flag, std::string const& word, server_flags& flags) {
    constexpr std::string_view prefix = "header:";
    if (word == "credential") return idempo::scope::credential_bound();
    if (word == "single") return idempo::scope::single_tenant();
    if (word.starts_with(prefix) && is_field_name(std::string_view(word).substr(prefix.size()))) {
        auto const name = word.substr(prefix.size());
        flags.protected_fields.push_back(name);
        return principal_in(name);
    }
    throw std::invalid_argument(std::string(flag) + ": '" + word + "' is none of credential, single, header:NAME");
}

/// A secret is a file's first line: never an argument, which every user of the machine can see.
std::string read_secret(std::string_view flag, std::string const& path) {
    std::ifstream file(path);
    std::string secret;
    if (!std::getline(file, secret)) throw std::invalid_argument(std::string(flag) + ": cannot read '" + path + '\'');
    return secret;
}

idempo::digest_keys read_secrets(std::string_view flag, std::vector<std::string> const& paths) {
    std::vector<std::string> secrets;
    for (auto const& path : paths) secrets.push_back(read_secret(flag, path));
    return secrets.empty() ? idempo::digest_keys::none() : idempo::digest_keys(secrets);
}

void apply_identity(written_flags const& written, server_flags& flags) {
    flags.options.scope = scope_of("--scope", written.scope, flags);
    flags.options.digest_keys = read_secrets("--digest-key-file", written.digest_key_files);
    idempo::previous_identity previous;
    if (written.previous_scope) previous.scope = scope_of("--previous-scope", *written.previous_scope, flags);
    if (!written.previous_digest_key_files.empty() || written.previous_without_digest_key) {
        previous.digest_keys = read_secrets("--previous-digest-key-file", written.previous_digest_key_files);
    }
    if (previous.scope || previous.digest_keys) flags.options.previous.push_back(std::move(previous));
}

void apply_duration(std::string_view flag, std::optional<std::string> const& text, std::chrono::milliseconds& to) {
    if (!text) return;
    try {
        to = parse_duration(*text);
    } catch (std::invalid_argument const& error) {
        throw std::invalid_argument(std::string(flag) + ": " + error.what());
    }
}

idempo::body_rule body_rule_of(std::string const& word) {
    std::map<std::string, idempo::body_rule> known{{"content", idempo::body_rule::by_content()},
                                                   {"exact", idempo::body_rule::exact()}};
#ifdef CHARGE_SERVER_HAS_JSON
    known.emplace("json", idempo::canonical_json());
#endif
    return choose("--bodies", word, known);
}

idempo::options options_of(written_flags const& written) {
    bool const stripe = choose<bool>("--profile", written.profile, {{"ietf", false}, {"stripe", true}});
    auto options = stripe ? idempo::options::stripe() : idempo::options();
    if (written.methods) options.methods = parse_methods(*written.methods);
    if (written.header) options.header = *written.header;
    options.require_key = written.require_key;
    options.keep_traceparent = written.keep_traceparent;
    apply_duration("--lease", written.lease, options.lease);
    apply_duration("--retention", written.retention, options.retention);
    apply_duration("--wait", written.wait, options.wait);
    apply_duration("--persist-timeout", written.persist_timeout, options.persist_timeout);
    if (written.heartbeat) {
        options.heartbeat = choose<bool>("--heartbeat", *written.heartbeat, {{"off", false}, {"on", true}});
    }
    options.per_endpoint = written.per_endpoint;
    options.same_request.body = body_rule_of(written.bodies);
    if (written.guard) options.on_duplicate = idempo::on_duplicate::reject;
    if (written.on_throw) {
        using idempo::on_throw;
        options.on_throw = choose<on_throw>(
            "--on-throw", *written.on_throw,
            {{"release", on_throw::release}, {"hold", on_throw::hold}, {"store-500", on_throw::store_500}});
    }
    if (written.log) options.observer = idempo::log_to(std::cerr);
    return options;
}

#ifdef CHARGE_SERVER_HAS_METRICS

void add_metrics(server_flags& flags) {
    auto const metrics = std::make_shared<server_metrics>();
    flags.metrics = [metrics] { return metrics->text(); };
    flags.options.observer = [metrics, logs = std::move(flags.options.observer)](idempo::event const& event) {
        metrics->observe(event);
        if (logs) logs(event);
    };
}

#endif

/// Each line is in the file before anything that it tells of happens: this server is killed in tests.
void add_trace(std::string const& path, server_flags& flags) {
    auto const file = std::make_shared<std::ofstream>(path, std::ios::app);
    if (!*file) throw std::invalid_argument("--trace: cannot write '" + path + '\'');
    auto write = [file, sink = idempo::trace_to(*file)](std::string_view lines) { sink(lines); };
    flags.trace.emplace(std::move(write), idempo::trace_options{.buffer_bytes = 0});
    flags.options.observer = flags.trace->observing(std::move(flags.options.observer));
}

server_flags understand(written_flags const& written) {
    server_flags flags;
    flags.address = parse_address(written.address);
    flags.port = written.port;
    flags.threads = written.threads;
    flags.max_connections = written.max_connections;
    flags.store_url = written.store;
    flags.migrate = written.migrate;
    flags.style = choose<session_style>("--style", written.style,
                                        {{"sync", session_style::sync},
                                         {"callback", session_style::callback},
                                         {"awaitable", session_style::awaitable}});
    flags.use_middleware = !written.no_middleware;
    flags.options = options_of(written);
    flags.protected_fields.push_back(flags.options.header);
    apply_identity(written, flags);
    if (!written.trace.empty()) add_trace(written.trace, flags);
#ifdef CHARGE_SERVER_HAS_METRICS
    if (written.metrics) add_metrics(flags);
#endif
    return flags;
}

/// The library speaks of its options, whose names are those of our flags.
void check(idempo::options const& options) {
    try {
        idempo::validate(options);
    } catch (std::invalid_argument const& error) {
        constexpr std::string_view prefix = "options.";
        std::string const sentence = error.what();
        if (!sentence.starts_with(prefix)) throw;
        throw std::invalid_argument("--" + sentence.substr(prefix.size()));
    }
}

}  // namespace

std::optional<server_flags> parse_flags(int argument_count, char const* const* arguments) {
    CLI::App app("A payment server to try, test and measure idempo by.", "charge_server");
    written_flags written;
    add_server_flags(app, written);
    add_idempotency_flags(app, written);
    try {
        app.parse(argument_count, arguments);
    } catch (CLI::CallForHelp const&) {
        std::cout << app.help() << std::flush;
        return std::nullopt;
    } catch (CLI::ParseError const& error) {
        throw std::invalid_argument(error.what());
    }
    auto flags = understand(written);
    check(flags.options);
    return flags;
}
