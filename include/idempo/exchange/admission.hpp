#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/field_lines.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/key.hpp>
#include <idempo/options.hpp>
#include <idempo/request_head.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>
#include <string>
#include <string_view>

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

/// Who calls, and what is asked.
template <class Request>
exchange::step identify(exchange& exchange, options const& options, Request const& request) {
    std::optional<std::string> caller;
    if (auto const& find_principal = options.scope.find_principal()) {
        caller = find_principal(request_head(request));
        if (!caller || caller->empty()) return exchange.unidentified();
    }
    // In guard mode no request differs from another: the state of the record alone decides.
    bool const guards = options.on_duplicate == on_duplicate::reject;
    return exchange.identified(make_store_key(options.key_namespace, caller.value_or(std::string()), exchange.key()),
                               guards ? fingerprint{} : make_fingerprint(request, options.scope.credential_fields()));
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
