#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/field_lines.hpp>
#include <idempo/detail/sha256.hpp>
#include <idempo/identifiers.hpp>

#include <boost/beast/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace idempo {

namespace http = boost::beast::http;

/// SHA-256 over what makes two requests the same (draft-ietf-httpapi-idempotency-key-header-07, section 2.4): method,
/// target (path and query as sent), body, and for each of `credential_fields` the number of its field lines and the
/// value of each. Every part follows its length, so that no byte can change sides unnoticed.
///
/// The body's type does not matter, only its bytes. `Fields` is any `http::basic_fields`.
/// \throws std::runtime_error when OpenSSL fails.
template <class Body, class Fields>
[[nodiscard]] fingerprint make_fingerprint(http::request<Body, Fields> const& request,
                                           std::span<std::string const> credential_fields) {
    static_assert(detail::in_memory_body<Body>,
                  "idempo: a fingerprint needs the request's body in memory: string_body, vector_body, span_body, "
                  "dynamic_body or empty_body. Read the request with one of these.");
    detail::sha256 hash;
    hash.part(request.method_string()).part(request.target());
    hash.part_size(detail::body_size(request));
    detail::visit_body(request, [&hash](std::string_view piece) { hash.raw(piece); });
    for (auto const& name : credential_fields) {
        std::uint64_t lines = 0;
        detail::visit_field_lines(request, name, [&lines](std::string_view) { ++lines; });
        hash.part_size(lines);
        if (lines != 0) detail::visit_field_lines(request, name, [&hash](std::string_view value) { hash.part(value); });
    }
    return fingerprint{hash.finish()};
}

/// A key for a downstream call made on behalf of a request: 64 hexadecimal digits of SHA-256(store key ‖ fingerprint ‖
/// label). The same for each attempt at the request; another for each `label`.
/// \throws std::runtime_error when OpenSSL fails.
[[nodiscard]] std::string derive_key(store_key const& key, fingerprint const& request, std::string_view label);

}  // namespace idempo
