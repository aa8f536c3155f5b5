#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/field_lines.hpp>
#include <idempo/detail/sha256.hpp>
#include <idempo/detail/target.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/request_rules.hpp>
#include <idempo/key.hpp>
#include <idempo/options.hpp>
#include <idempo/request_head.hpp>
#include <idempo/scope.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::detail {

/// What an answer takes over from the request that it answers. Read before the request is moved to the handler.
struct connection_facts {
    unsigned version = 11;
    bool keep_alive = true;

    template <class Request>
    explicit connection_facts(Request const& request) : version(request.version()),
                                                        keep_alive(request.keep_alive()) {}
};

/// The facts that the exchange needs, or nullopt if the handler runs as if there were no middleware. Allocates nothing.
/// Views into the request.
template <class Request>
std::optional<request_facts> look_at(options const& options, Request const& request) {
    constexpr bool readable = in_memory_body<typename Request::body_type>;
    static_assert(readable, "idempo: the fingerprint needs the bytes of the request's body in memory: use string_body, "
                            "vector_body, span_body, basic_dynamic_body or empty_body");
    if (!options.methods.contains(request.method())) return {};
    request_facts facts;
    visit_field_lines(request, options.header, [&facts](std::string_view value) {
        if (facts.key_lines++ == 0) facts.key_field = value;
    });
    if (facts.key_lines == 0 && !options.require_key) return {};
    if (options.applies && !options.applies(request_head(request))) return {};
    if constexpr (readable) facts.body_size = body_size(request);
    return facts;
}

/// The credentials of a request as a scope of the store key: for guard mode, where no fingerprint keeps callers apart.
template <class Request>
store_key credential_scope(std::vector<std::string> const& credential_fields, Request const& request) {
    sha256 hash;
    for (auto const& name : credential_fields) {
        hash.part_size(count_field_lines(request, name));
        visit_field_lines(request, name, [&hash](std::string_view value) { hash.part(value); });
    }
    return store_key{hash.finish()};
}

/// Whether callers with different cookies are one caller to the scope.
template <class Request>
bool ignores_cookie(scope const& scope, Request const& request) {
    auto const& fields = scope.credential_fields();
    auto const has = [&request](std::string_view name) { return count_field_lines(request, name) != 0; };
    return !fields.empty() && has("Cookie") && std::none_of(fields.begin(), fields.end(), has);
}

/// Who calls, and what is asked.
template <class Request>
exchange::step identify(exchange& exchange, options const& options, request_rules const& rules,
                        Request const& request) {
    if (exchange.rule() != 0) return exchange.identified_by_rule(rules[exchange.rule()](request));
    if (options.accept_key && !options.accept_key(exchange.key())) return exchange.key_not_accepted();
    std::optional<std::string> caller;
    if (auto const& find_principal = options.scope.find_principal()) {
        caller = find_principal(request_head(request));
        if (!caller || caller->empty()) return exchange.unidentified();
    }
    request_identity identity;
    identity.asked = rules[0](request);
    identity.rules = rules.numbers();
    identity.ignores_cookie = options.observer && ignores_cookie(options.scope, request);
    std::string_view scope = caller ? std::string_view(*caller) : std::string_view();
    store_key credentials;
    if (options.on_duplicate == on_duplicate::reject) {
        // In guard mode no request differs from another of its caller: the state of the record alone decides.
        if (auto const& fields = options.scope.credential_fields(); !fields.empty()) {
            credentials = credential_scope(fields, request);
            scope = credentials.view();
        }
    } else {
        identity.compared = identity.asked;
    }
    std::optional<endpoint> where;
    if (options.per_endpoint) {
        where = endpoint{request.method_string(), split_target(request.target(), {}).path};
    }
    identity.key = make_store_key(options.key_namespace, scope, exchange.key(), where);
    return exchange.identified(identity);
}

inline http::response<http::string_body> refusal_response(exchange const& exchange, options const& options,
                                                          connection_facts const& connection) {
    return make_refusal(options.problems, options.write_problem, exchange.refusal(), connection.version,
                        connection.keep_alive);
}

inline http::response<http::string_body> replay_response(exchange const& exchange, options const& options,
                                                         connection_facts const& connection) {
    auto const& stored = exchange.stored();
    auto response = make_replay(stored, connection.version, connection.keep_alive, options.replayed_header, "true");
    if (options.original_request_header.empty()) return response;
    auto const original = stored.field("Request-Id");
    if (!original.empty()) response.set(options.original_request_header, original);
    return response;
}

}  // namespace idempo::detail
