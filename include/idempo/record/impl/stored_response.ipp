// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/stored_response.hpp>

#include <idempo/detail/traceparent.hpp>
#include <idempo/record/record_format.hpp>
#include <idempo/record/replay_fields.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace idempo {

using namespace record_format;

namespace {

bool is_proxy_field(std::string_view name) noexcept {
    constexpr std::string_view prefix = "Proxy-";
    return boost::beast::iequals(name.substr(0, prefix.size()), prefix);
}

/// Belongs to one connection or one moment; `Connection` itself included.
bool is_never_stored(http::field id, std::string_view name) noexcept {
    switch (id) {
    case http::field::connection:
    case http::field::keep_alive:
    case http::field::te:
    case http::field::trailer:
    case http::field::transfer_encoding:
    case http::field::upgrade:
    case http::field::content_length:
    case http::field::date:
    case http::field::age: return true;
    default: return is_proxy_field(name);
    }
}

/// Belongs to one connection, or would change where the replay ends. No writer stores it. Compared by length first,
/// since this runs for every field of every replay.
bool is_connection_field(std::string_view name) noexcept {
    using boost::beast::iequals;
    switch (name.size()) {
    case 2: return iequals(name, "TE");
    case 7: return iequals(name, "Trailer") || iequals(name, "Upgrade");
    case 10: return iequals(name, "Connection") || iequals(name, "Keep-Alive");
    case 14: return iequals(name, "Content-Length");
    case 17: return iequals(name, "Transfer-Encoding");
    default: return false;
    }
}

/// Is `name` an element of the comma-separated `list` (RFC 9110, section 5.6.1)? Lenient, so that a malformed element
/// does not hide the others.
bool is_listed(std::string_view list, std::string_view name) noexcept {
    constexpr std::string_view blanks = " \t";
    while (!list.empty()) {
        auto const comma = std::min(list.find(','), list.size());
        auto element = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        element.remove_prefix(std::min(element.find_first_not_of(blanks), element.size()));
        element = element.substr(0, element.find_last_not_of(blanks) + 1);
        if (boost::beast::iequals(element, name)) return true;
    }
    return false;
}

/// Reads a record from the front. After the first read past the end it reads nothing more, and `ok` is false.
struct reader {
    std::string_view rest;
    bool ok = true;

    std::string_view text(std::size_t size) noexcept {
        if (size > rest.size()) ok = false;
        if (!ok) return {};
        auto const read = rest.substr(0, size);
        rest.remove_prefix(size);
        return read;
    }
    std::uint16_t u16() noexcept {
        auto const read = text(sizeof(std::uint16_t));
        return ok ? load_u16(read.data()) : std::uint16_t{0};
    }
    std::uint32_t u32() noexcept {
        auto const read = text(sizeof(std::uint32_t));
        return ok ? load_u32(read.data()) : 0;
    }
};

}  // namespace

namespace detail {

void record_writer::add(http::field id, std::string_view name, std::string_view value) {
    if (id == http::field::connection) connection_.push_back(value);
    if (!is_never_stored(id, name)) fields_.push_back({id, name, value});
}

std::size_t record_writer::prepare(capture_policy const& policy, std::size_t body_size) {
    auto const dropped = [&](field const& candidate) {
        if (candidate.id == http::field::set_cookie && !policy.store_set_cookie) return true;
        return std::any_of(connection_.begin(), connection_.end(),
                           [&](std::string_view list) { return is_listed(list, candidate.name); });
    };
    fields_.erase(std::remove_if(fields_.begin(), fields_.end(), dropped), fields_.end());
    if (!policy.traceparent.empty()) {
        fields_.push_back({http::field::unknown, traceparent_field, policy.traceparent});
    }

    bool storable = is_stored_status(status_) && reason_.size() <= max_count && is_text(reason_) &&
                    fields_.size() <= max_count && body_size <= policy.max_body &&
                    body_size <= std::numeric_limits<std::uint32_t>::max();
    std::size_t head_size = fixed_size + reason_.size();
    for (auto const& [id, name, value] : fields_) {
        storable = storable && is_field(name, value);
        head_size += field_lengths_size + name.size() + value.size();
    }
    return storable ? head_size : 0;
}

char* record_writer::write_head(char* record, std::size_t body_size) const {
    char* to = record;
    *to++ = version_1;
    *to++ = response_kind;
    to = store_u16(to, status_);
    to = store_u16(to, reason_.size());
    to = store_u16(to, fields_.size());
    to = store_u32(to, body_size);
    to = store_text(to, reason_);
    for (auto const& [id, name, value] : fields_) {
        to = store_u16(to, name.size());
        to = store_u16(to, value.size());
        to = store_text(to, name);
        to = store_text(to, value);
    }
    return to;
}

void seal_record(char* record, std::size_t size) {
    std::string_view const summed(record, size - record_checksum_size);
    boost::endian::store_little_u64(octets(record + summed.size()), record_checksum(summed));
}

}  // namespace detail

shared_bytes make_tombstone(unsigned status, std::string_view traceparent) {
    std::size_t const size = tombstone_size + traceparent.size();
    return shared_bytes(size, [&](char* record) {
        std::fill_n(record, fixed_size, '\0');
        record[version_offset] = version_1;
        record[kind_offset] = traceparent.empty() ? tombstone_kind : traced_tombstone_kind;
        store_u16(record + kind_offset + 1, std::min(status, max_tombstone_status));
        store_u32(record + body_size_offset, traceparent.size());
        store_text(record + fixed_size, traceparent);
        detail::seal_record(record, size);
    });
}

stored_field stored_fields::iterator::operator*() const noexcept {
    std::string_view const name(at_ + field_lengths_size, load_u16(at_));
    return {name, {name.data() + name.size(), load_u16(at_ + sizeof(std::uint16_t))}};
}

stored_fields::iterator& stored_fields::iterator::operator++() noexcept {
    auto const value = (**this).value;
    at_ = value.data() + value.size();
    return *this;
}

stored_response stored_response::decode(shared_bytes record, error_code& ec) {
    ec.clear();
    stored_response decoded;
    decoded.record_ = std::move(record);
    auto const bytes = decoded.record_.view();
    // A new version gets its own case here; the previous one keeps its case as long as its records may live.
    switch (bytes.empty() ? '\0' : bytes[version_offset]) {
    case version_1:
        if (decoded.decode_version_1()) return decoded;
        break;
    default: break;
    }
    ec = error::record_unreadable;
    return {};
}

bool stored_response::decode_version_1() noexcept {
    auto const record = record_.view();
    if (record.size() < tombstone_size) return false;
    auto const summed = record.substr(0, record.size() - detail::record_checksum_size);
    if (load_u64(record.data() + summed.size()) != record_checksum(summed)) return false;

    char const kind = summed[kind_offset];
    reader in{summed.substr(kind_offset + 1)};
    status_ = in.u16();
    std::size_t const reason_size = in.u16();
    std::size_t const field_count = in.u16();
    std::size_t const body_size = in.u32();
    reason_ = in.text(reason_size);
    char const* const first_field = in.rest.data();
    char const* last_field = first_field;
    for (std::size_t i = 0; i < field_count; ++i) {
        char const* const this_field = in.rest.data();
        std::size_t const name_size = in.u16();
        std::size_t const value_size = in.u16();
        auto const name = in.text(name_size);
        auto const value = in.text(value_size);
        if (!in.ok || !is_field(name, value) || is_connection_field(name) || is_proxy_field(name)) return false;
        traceparent_ = name == traceparent_field ? value : std::string_view();
        last_field = this_field;
    }
    if (!detail::traceparent::is_valid(traceparent_)) traceparent_ = {};
    char const* const end_of_fields = traceparent_.empty() ? in.rest.data() : last_field;
    fields_ = {first_field, static_cast<std::size_t>(end_of_fields - first_field)};
    body_ = in.text(body_size);
    if (!in.ok || !in.rest.empty()) return false;

    retained_ = kind == response_kind;
    if (retained_) return is_stored_status(status_) && is_text(reason_);
    if (status_ > max_tombstone_status) return false;
    if (kind == tombstone_kind) return summed.size() == fixed_size;
    if (kind != traced_tombstone_kind || summed.size() != fixed_size + body_.size()) return false;
    traceparent_ = std::exchange(body_, {});
    return detail::traceparent::is_valid(traceparent_);
}

std::string_view stored_response::field(std::string_view name) const noexcept {
    for (auto const& field : fields())
        if (boost::beast::iequals(field.name, name)) return field.value;
    return {};
}

http::response<http::string_body> make_replay(stored_response const& stored, unsigned version, bool keep_alive,
                                              std::string_view marker_name, std::string_view marker_value) {
    http::response<http::string_body> replay;
    replay.version(version);
    replay.result(stored.status());
    // Setting the field that Beast writes anyway would cost an allocation.
    if (stored.reason() != replay.reason()) replay.reason(stored.reason());
    // Inserted, not set, here and below: searching for a field that cannot be there costs as much as the rest.
    detail::for_each_replay_field(
        stored, version, keep_alive, marker_name, marker_value,
        [&replay](std::string_view name, std::string_view value) { replay.insert(name, value); });
    // Not prepare_payload(), which throws when a 204 has a body.
    if (!detail::replay_has_body(stored.status())) return replay;
    replay.body() = stored.body();
    replay.insert(http::field::content_length, std::to_string(stored.body().size()));
    return replay;
}

}  // namespace idempo
