// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/detail/compared_fields.hpp>
#include <idempo/detail/field_lines.hpp>
#include <idempo/detail/sha256.hpp>
#include <idempo/digest_key.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/request_head.hpp>
#include <idempo/same_request.hpp>

#include <boost/beast/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo {

namespace http = boost::beast::http;

/// Makes fingerprints by one rule: SHA-256 over what makes two requests the same
/// (draft-ietf-httpapi-idempotency-key-header-07, section 2.4), or with a secret HMAC-SHA-256 over "fingerprint" and
/// the same.
///
/// The hash begins with the rule's number, so that no two rules make the same fingerprint of anything. Each part
/// follows its length, so that no byte can change sides unnoticed. The first four bytes of a fingerprint are the rule's
/// number itself, big-endian, and the other 28 are those of the hash: a record says by which rule it was made.
///
/// Safe to use from any thread, concurrently.
class fingerprint_rule {
public:
    /// \param credential_fields are compared like `what.fields`.
    /// \throws std::invalid_argument for more than `max_compared_fields` fields in both.
    explicit fingerprint_rule(same_request what, std::vector<std::string> credential_fields = {},
                              std::optional<digest_key> secret = {});

    /// The first four bytes of SHA-256 over what the rule compares: fields, credentials, whether the host counts, and
    /// the name of the body's rule; and over an HMAC under the secret, if there is one. It is never 0.
    [[nodiscard]] std::uint32_t number() const noexcept { return number_; }

    /// The body's type does not matter, only its bytes. `Fields` is any `http::basic_fields`. Allocates nothing, unless
    /// the body is in several pieces and its rule needs it in one, or the rule's own function does.
    /// \throws std::runtime_error when OpenSSL fails, and whatever the body's rule throws.
    template <class Body, class Fields>
    [[nodiscard]] fingerprint operator()(http::request<Body, Fields> const& request) const {
        static_assert(detail::in_memory_body<Body>,
                      "idempo: a fingerprint needs the request's body in memory: string_body, vector_body, span_body, "
                      "dynamic_body or empty_body. Read the request with one of these.");
        detail::sha256 hash;
        begin(hash);
        detail::found_fields const fields(names_, request);
        add_start_line(hash, request.method_string(), request.target(), fields.host().first_value());
        add_fields(hash, request, fields);
        if (needs_whole_body(fields)) {
            std::string joined;
            add_body(hash, request, fields, detail::contiguous_body(request, joined));
        } else {
            add_exact_size(hash, detail::body_size(request));
            detail::visit_body(request, [&hash](std::string_view piece) { hash.raw(piece); });
        }
        return finish(hash);
    }

private:
    /// Of each name that the request has: its place in the list, the number of its lines, and their values.
    template <class Fields>
    void add_fields(detail::sha256& hash, Fields const& fields, detail::found_fields const& found) const {
        detail::visit_places(found.present(), [&](std::size_t place) {
            auto const& lines = found.at(place);
            auto const name = names_[place];
            hash.part_size(place + 1).part_size(lines.count);
            if (lines.count == 1) return add_field_value(hash, name, lines.only_value());
            detail::visit_field_lines(fields, name,
                                      [&hash, name](std::string_view value) { add_field_value(hash, name, value); });
        });
        hash.part_size(0);
    }

    static void add_field_value(detail::sha256& hash, std::string_view name, std::string_view value);
    void begin(detail::sha256& hash) const;
    static void add_exact_size(detail::sha256& hash, std::uint64_t size);
    void add_start_line(detail::sha256& hash, std::string_view method, std::string_view target,
                        std::string_view host) const;
    [[nodiscard]] bool needs_whole_body(detail::found_fields const& found) const;
    void add_body(detail::sha256& hash, request_head const& head, detail::found_fields const& found,
                  std::string_view body) const;
    [[nodiscard]] fingerprint finish(detail::sha256& hash) const;

    std::optional<digest_key> secret_;
    bool authority_;
    body_rule body_;
    detail::compared_names names_;  // of the fields, then of the credentials
    std::uint32_t number_;
};

/// The number of the rule that made a fingerprint.
[[nodiscard]] std::uint32_t rule_number(fingerprint const& made) noexcept;

/// A key for a downstream call made on behalf of a request: 64 hexadecimal digits of SHA-256(store key ‖ fingerprint ‖
/// label). The same for each attempt at the request; another for each `label`.
/// \throws std::runtime_error when OpenSSL fails.
[[nodiscard]] std::string derive_key(store_key const& key, fingerprint const& request, std::string_view label);

}  // namespace idempo
