// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/fingerprint.hpp>

#include <idempo/detail/media_type.hpp>
#include <idempo/detail/multipart.hpp>
#include <idempo/detail/target.hpp>
#include <idempo/option_checks.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace idempo {

namespace {

using boost::beast::iequals;

/// What the bytes after it are made of.
enum class body_form : unsigned char { exact, gzip, multipart, custom };

void add_form(detail::sha256& hash, body_form form) { hash.part_size(static_cast<unsigned char>(form)); }

char lower(char character) noexcept {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}

void add_lower(detail::sha256& hash, std::string_view text) {
    std::array<char, 64> piece;
    hash.part_size(text.size());
    while (!text.empty()) {
        auto const size = std::min(text.size(), piece.size());
        std::transform(text.data(), text.data() + size, piece.data(), lower);
        hash.raw({piece.data(), size});
        text.remove_prefix(size);
    }
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char character) { return lower(character); });
    return text;
}

std::uint32_t number_of(same_request const& what, std::vector<std::string> const& credential_fields,
                        std::optional<digest_key> const& secret) {
    detail::sha256 hash;
    hash.part("idempo fingerprint 2").part(what.body.name()).part_size(what.authority ? 1 : 0);
    for (auto const* fields : {&what.fields, &credential_fields}) {
        hash.part_size(fields->size());
        for (auto const& name : *fields) hash.part(lower(name));
    }
    if (secret) {
        detail::sha256 proof;
        secret->hmac().begin(proof);
        store_key const proven{secret->hmac().finish(proof.part("rule"))};
        hash.part(proven.view());
    }
    auto const digest = hash.finish();
    return std::max(boost::endian::load_big_u32(digest.data()), std::uint32_t{1});
}

std::vector<std::string> compared_fields(std::vector<std::string> fields,
                                         std::vector<std::string> const& credential_fields) {
    fields.insert(fields.end(), credential_fields.begin(), credential_fields.end());
    detail::require(fields.size() <= max_compared_fields, "same_request.fields has too many fields");
    return fields;
}

bool is_plain_multipart(detail::found_fields const& found) {
    return found.content_encoding().count == 0 && detail::is_multipart(found.content_type().only_value());
}

bool is_gzip(detail::found_fields const& found) {
    auto const coding = found.content_encoding().only_value();
    return iequals(coding, "gzip") || iequals(coding, "x-gzip");
}

/// RFC 1952, section 2.3: magic, method, flags, and four bytes of time from the fifth on.
bool add_gzip(detail::sha256& hash, std::string_view body) {
    constexpr std::size_t smallest = 18;
    constexpr std::size_t time_offset = 4;
    constexpr std::size_t time_size = 4;
    if (body.size() < smallest || body.substr(0, 3) != "\x1f\x8b\x08") return false;
    add_form(hash, body_form::gzip);
    hash.part_size(body.size()).raw(body.substr(0, time_offset)).raw(body.substr(time_offset + time_size));
    return true;
}

bool is_well_formed(detail::multipart_reader reader) {
    using found = detail::multipart_reader::found;
    detail::multipart_part part;
    auto next = reader.next(part);
    while (next == found::part) next = reader.next(part);
    return next == found::end;
}

bool add_multipart(detail::sha256& hash, std::string_view content_type, std::string_view body) {
    auto const parameter = detail::find_boundary(content_type);
    if (!parameter) return false;
    detail::multipart_reader reader(body, parameter->boundary);
    if (!is_well_formed(reader)) return false;
    add_form(hash, body_form::multipart);
    detail::multipart_part part;
    auto next = reader.next(part);
    hash.part(reader.preamble());
    for (; next == detail::multipart_reader::found::part; next = reader.next(part)) {
        hash.part_size(1).part(part.fields).part(part.content);
    }
    hash.part_size(0).part(reader.epilogue());
    return true;
}

void add_exact(detail::sha256& hash, std::string_view body) {
    add_form(hash, body_form::exact);
    hash.part(body);
}

}  // namespace

fingerprint_rule::fingerprint_rule(same_request what, std::vector<std::string> credential_fields,
                                   std::optional<digest_key> secret)
    : secret_(std::move(secret)),
      authority_(what.authority),
      body_(what.body),
      names_(compared_fields(what.fields, credential_fields)),
      number_(number_of(what, credential_fields, secret_)) {}

void fingerprint_rule::add_field_value(detail::sha256& hash, std::string_view name, std::string_view value) {
    bool const may_have_boundary = iequals(name, "Content-Type") && detail::is_multipart(value);
    auto const parameter = may_have_boundary ? detail::find_boundary(value) : std::nullopt;
    if (!parameter) {
        hash.part(value);
        return;
    }
    hash.part_size(parameter->before.size() + parameter->after.size()).raw(parameter->before).raw(parameter->after);
}

void fingerprint_rule::begin(detail::sha256& hash) const {
    if (!secret_) return;
    secret_->hmac().begin(hash);
    hash.part("fingerprint");
}

void fingerprint_rule::add_exact_size(detail::sha256& hash, std::uint64_t size) {
    add_form(hash, body_form::exact);
    hash.part_size(size);
}

void fingerprint_rule::add_start_line(detail::sha256& hash, std::string_view method, std::string_view sent_target,
                                      std::string_view host) const {
    auto const target = detail::split_target(sent_target, host);
    hash.part_size(number_).part(method);
    add_lower(hash, authority_ ? target.authority : std::string_view());
    hash.part_size(target.path.size() + target.query.size()).raw(target.path).raw(target.query);
}

bool fingerprint_rule::needs_whole_body(detail::found_fields const& found) const {
    switch (body_.how()) {
    case body_rule::kind::exact: return false;
    case body_rule::kind::custom: return true;
    case body_rule::kind::by_content: break;
    }
    return is_plain_multipart(found) || is_gzip(found);
}

void fingerprint_rule::add_body(detail::sha256& hash, request_head const& head, detail::found_fields const& found,
                                std::string_view body) const {
    if (body_.how() == body_rule::kind::custom) {
        body_hash parts(hash);
        if (body_.add()(head, body, parts)) return add_form(hash, body_form::custom);
    }
    if (is_gzip(found) && add_gzip(hash, body)) return;
    if (!is_plain_multipart(found)) return add_exact(hash, body);
    if (add_multipart(hash, found.content_type().only_value(), body)) return;
    add_exact(hash, body);
    hash.part(found.content_type().only_value());  // with the boundary, which the field was compared without
}

fingerprint fingerprint_rule::finish(detail::sha256& hash) const {
    fingerprint made{secret_ ? secret_->hmac().finish(hash) : hash.finish()};
    boost::endian::store_big_u32(made.bytes.data(), number_);
    return made;
}

std::uint32_t rule_number(fingerprint const& made) noexcept { return boost::endian::load_big_u32(made.bytes.data()); }

std::string derive_key(store_key const& key, fingerprint const& request, std::string_view label) {
    // Two parts have a fixed size, so none needs its length in front, and any tool can compute the same.
    store_key const derived{detail::sha256().raw(key.view()).raw(request.view()).raw(label).finish()};
    return to_hex(derived.view());
}

}  // namespace idempo
