// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/field_lines.hpp>
#include <idempo/detail/sha256.hpp>
#include <idempo/detail/target.hpp>
#include <idempo/detail/traceparent.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/exchange/request_rules.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/key.hpp>
#include <idempo/options.hpp>
#include <idempo/record/replay_message.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/request_head.hpp>
#include <idempo/scope.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::detail {

/// W3C Trace Context, section 3.2: of several, none counts.
template <class Request>
std::string_view only_traceparent(Request const& request) {
    std::size_t lines = 0;
    std::string_view found;
    visit_field_lines(request, traceparent::field_name, [&](std::string_view value) {
        ++lines;
        found = value;
    });
    return lines == 1 ? found : std::string_view();
}

/// What the exchange needs to know of a request. Views into it.
template <class Request>
request_facts facts_of(options const& options, Request const& request) {
    request_facts facts;
    visit_field_lines(request, options.header, [&facts](std::string_view value) {
        if (facts.key_lines++ == 0) facts.key_field = value;
    });
    if constexpr (in_memory_body<typename Request::body_type>) facts.body_size = body_size(request);
    if (options.keep_traceparent) facts.traceparent = only_traceparent(request);
    return facts;
}

/// The facts of a request that is the exchange's business; nothing where the handler runs as if there were no
/// middleware. Allocates nothing. Views into the request.
template <class Request>
std::optional<request_facts> look_at(options const& options, Request const& request) {
    static_assert(in_memory_body<typename Request::body_type>,
                  "idempo: the fingerprint needs the bytes of the request's body in memory: use string_body, "
                  "vector_body, span_body, basic_dynamic_body or empty_body");
    if (!options.methods.contains(request.method())) return {};
    auto const facts = facts_of(options, request);
    if (facts.key_lines == 0 && !options.require_key) return {};
    if (options.applies && !options.applies(request_head(request))) return {};
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

/// Who calls, as a part of the store key.
struct caller_id {
    std::optional<std::string> principal;
    std::optional<store_key> credentials;

    [[nodiscard]] std::string_view view() const noexcept {
        if (principal) return *principal;
        return credentials ? credentials->view() : std::string_view();
    }
};

/// Nothing where the caller is nobody.
template <class Request>
std::optional<caller_id> find_caller(scope const& scope, bool guards, Request const& request) {
    caller_id caller;
    if (auto const& find_principal = scope.find_principal()) {
        caller.principal = find_principal(request_head(request));
        if (!caller.principal || caller.principal->empty()) return std::nullopt;
    } else if (guards && !scope.credential_fields().empty()) {
        caller.credentials = credential_scope(scope.credential_fields(), request);
    }
    return caller;
}

template <class Request>
store_key key_under(key_identity const& identity, caller_id const& caller, std::string_view key,
                    Request const& request) {
    std::optional<endpoint> where;
    if (identity.per_endpoint) where = endpoint{request.method_string(), split_target(request.target(), {}).path};
    return make_store_key(identity.key_namespace, caller.view(), key, where,
                          identity.secret ? &*identity.secret : nullptr);
}

/// Where else the record may be. Who is nobody under another identity has no record there, and where the store key is
/// the same, the record's own rule tells the identities apart.
template <class Request>
std::vector<identified_key> find_others(request_rules const& rules, caller_id const& current, bool guards,
                                        std::string_view key, Request const& request, store_key const& own) {
    std::vector<identified_key> others;
    auto const& identities = rules.identities();
    for (std::size_t place = 1; place < identities.size(); ++place) {
        auto const& identity = identities[place];
        auto const caller = identity.has_current_scope ? current : find_caller(identity.scope, guards, request);
        if (!caller) continue;
        auto const made = key_under(identity, *caller, key, request);
        auto const is_made = [&made](identified_key const& other) { return other.key == made; };
        if (made == own || std::any_of(others.begin(), others.end(), is_made)) continue;
        others.push_back({made, identity.rule});
    }
    return others;
}

/// Who calls, and what is asked.
template <class Request>
exchange::step identify(exchange& exchange, options const& options, request_rules const& rules,
                        Request const& request) {
    if (exchange.is_identified()) return exchange.identified_by_rule(rules[exchange.rule()](request));
    if (options.accept_key && !options.accept_key(exchange.key())) return exchange.key_not_accepted();
    bool const guards = options.on_duplicate == on_duplicate::reject;
    auto const caller = find_caller(options.scope, guards, request);
    if (!caller) return exchange.unidentified();
    request_identity identity;
    identity.asked = rules[0](request);
    identity.rules = rules.numbers();
    identity.ignores_cookie = options.observer && ignores_cookie(options.scope, request);
    // In guard mode no request differs from another of its caller: the state of the record alone decides.
    if (!guards) identity.compared = identity.asked;
    identity.key = key_under(rules.identities()[0], *caller, exchange.key(), request);
    if (rules.identities().size() > 1) {
        identity.others = find_others(rules, *caller, guards, exchange.key(), request, identity.key);
    }
    return exchange.identified(identity);
}

/// Lets the application find out what became of the earlier attempt.
inline exchange::step reconcile(exchange& exchange, options const& options) {
    try {
        return exchange.reconciled(options.reconcile(exchange.execution()));
    } catch (...) {
        return exchange.reconcile_threw(std::current_exception());
    }
}

/// Holds the handler's answer in `held`; where that throws, the answer is lost, and `lost` says by what.
/// \param marker the field that the answer must not have; empty: none
template <class Captured, class Response>
exchange::step capture_answer(exchange& exchange, std::optional<Captured>& held, Response&& response,
                              std::size_t max_body, std::string_view marker, std::exception_ptr& lost) {
    try {
        held.emplace(std::forward<Response>(response), max_body, marker);
    } catch (...) {  // no longer the handler's throw: its effect has happened
        lost = std::current_exception();
        return exchange.ran_unreadably(lost);
    }
    auto const status = held->status();
    return status ? exchange.ran(*status) : exchange.ran_unreadably(nullptr);
}

/// Makes the record of what `capture_answer` holds.
template <class Captured>
exchange::step capture(exchange& exchange, Captured const& held) {
    try {
        return exchange.captured(held.record(exchange.policy()));
    } catch (...) {
        return exchange.capture_threw(std::current_exception());
    }
}

/// \param head of the request, where the handler has not been given it
inline http::response<http::string_body> refusal_response(exchange const& exchange, options const& options,
                                                          answered_request const& request,
                                                          request_head const* head = nullptr) {
    auto details = exchange.refusal();
    details.request = head;
    auto response = make_refusal(options.problems, options.write_problem, details, request);
    exchange.answer_fields().apply_to(response);
    return response;
}

/// \tparam Reply `http::message_generator`, or what an `http::response<http::string_body>` becomes
template <class Reply>
Reply replay_response(exchange const& exchange, options const& options, answered_request const& request) {
    auto const& stored = exchange.stored();
    constexpr std::string_view marker = "true";
    auto fields = exchange.answer_fields();
    if (!options.original_request_header.empty()) {
        auto const original = stored.field("Request-Id");
        if (!original.empty()) fields.set(options.original_request_header, std::string(original));
    }
    if constexpr (std::same_as<Reply, http::message_generator>) {
        return make_replay_message(stored, request.version, request.keep_alive, options.replayed_header, marker,
                                   fields);
    } else {
        auto response = make_replay(stored, request.version, request.keep_alive, options.replayed_header, marker);
        fields.apply_to(response);
        return Reply(std::move(response));
    }
}

/// The handler's own response, with what every answer has.
template <class Response>
Response handler_response(exchange const& exchange, options const& options, Response response, bool closes) {
    if (!options.echo_key && !closes) return response;
    auto fields = exchange.answer_fields();
    if (closes) fields.close();
    if constexpr (std::same_as<Response, http::message_generator>) {
        return fields.applied_to(std::move(response));
    } else {
        fields.apply_to(response);
        return response;
    }
}

inline http::message_generator handler_response(exchange const& exchange, options const& options,
                                                completed_reply completed, bool closes) {
    return std::visit(
        [&](auto&& reply) {
            return to_generator(handler_response(exchange, options, std::forward<decltype(reply)>(reply), closes));
        },
        std::move(completed.reply));
}

/// The field that says that a response is a replay; empty where the handler may have it: it is a layer that replays.
inline std::string_view foreign_marker(options const& options, execution const& execution) noexcept {
    return execution.passes_replay() ? std::string_view() : std::string_view(options.replayed_header);
}

}  // namespace idempo::detail
