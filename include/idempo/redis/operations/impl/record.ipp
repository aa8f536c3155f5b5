// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/record.hpp>

#include <idempo/detail/open_notes.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstdint>

namespace idempo::redis {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view magic("idr\1", 4);
constexpr std::string_view open_state = "open";
constexpr std::string_view done_state = "done";
constexpr std::string_view park_state = "park";

constexpr std::size_t state_offset = 4;
constexpr std::size_t token_offset = 8;
constexpr std::size_t fingerprint_offset = 24;
constexpr std::size_t attempt_offset = 56;
constexpr std::size_t lease_offset = 60;
constexpr std::size_t life_offset = 68;
constexpr std::size_t length_offset = 76;
constexpr std::size_t sum_offset = 80;

unsigned char const* octets(std::string_view text, std::size_t offset) {
    return reinterpret_cast<unsigned char const*>(text.data() + offset);
}
unsigned char* octets(std::string& text, std::size_t offset) {
    return reinterpret_cast<unsigned char*>(text.data() + offset);
}

std::uint32_t load_u32(std::string_view from, std::size_t offset) {
    return boost::endian::load_big_u32(octets(from, offset));
}
milliseconds load_span(std::string_view from, std::size_t offset) {
    return milliseconds(boost::endian::load_big_s64(octets(from, offset)));
}

std::uint32_t sum_of(std::string_view header) {
    std::uint32_t sum = 0;
    for (std::size_t offset = 0; offset < sum_offset; offset += sizeof sum) sum += load_u32(header, offset);
    return sum;
}

template <class Identifier>
void load(std::string_view from, std::size_t offset, Identifier& to) {
    std::copy_n(octets(from, offset), to.bytes.size(), to.bytes.begin());
}

std::string write(record const& from, std::string_view bytes) {
    std::string value;
    value.reserve(header_size + bytes.size());
    auto const open = from.is_parked ? park_state : open_state;
    value.append(magic).append(from.is_completed ? done_state : open);
    value.append(from.fencing_token.view()).append(from.fingerprint.view());
    value.resize(header_size);
    boost::endian::store_big_u32(octets(value, attempt_offset), from.attempt);
    boost::endian::store_big_s64(octets(value, lease_offset), from.lease.count());
    boost::endian::store_big_s64(octets(value, life_offset), from.life.count());
    boost::endian::store_big_u32(octets(value, length_offset), static_cast<std::uint32_t>(bytes.size()));
    boost::endian::store_big_u32(octets(value, sum_offset), sum_of(value));
    value.append(bytes);
    return value;
}

}  // namespace

milliseconds bounded(milliseconds span) noexcept { return std::clamp(span, milliseconds::zero(), longest_span); }

milliseconds life_of(milliseconds lease, milliseconds retention) noexcept {
    return std::max(bounded(lease) + bounded(retention), milliseconds{1});
}

std::string write_open(claim_request const& request) {
    return write({false, false, request.fencing_token, request.fingerprint, 1, bounded(request.lease),
                  life_of(request.lease, request.retention)},
                 {});
}

std::string write_done(complete_request const& request) {
    auto const life = life_of(milliseconds::zero(), request.retention);
    return write({true, false, request.fencing_token, request.fingerprint, 1, milliseconds::zero(), life},
                 request.record.view());
}

std::string write_parked(park_request const& request) {
    auto const life = life_of(milliseconds::zero(), request.retention);
    auto const notes = detail::parked_notes({request.reason.view(), {}});
    return write({false, true, request.fencing_token, request.fingerprint, 1, milliseconds::zero(), life}, notes);
}

std::string write_settled(settle_request const& request) {
    if (!request.record) return {};
    auto const life = life_of(milliseconds::zero(), request.retention);
    return write({true, false, {}, {}, request.attempt, milliseconds::zero(), life}, request.record->view());
}

std::optional<record> read_header(std::string_view header, std::size_t value_size) {
    if (header.size() < header_size || !header.starts_with(magic)) return std::nullopt;
    auto const state = header.substr(state_offset, open_state.size());
    std::size_t const length = load_u32(header, length_offset);
    bool const is_completed = state == done_state;
    bool const is_parked = state == park_state;
    if (!is_completed && !is_parked && state != open_state) return std::nullopt;
    if (load_u32(header, sum_offset) != sum_of(header) || value_size != header_size + length) return std::nullopt;

    record found;
    found.is_completed = is_completed;
    found.is_parked = is_parked;
    load(header, token_offset, found.fencing_token);
    load(header, fingerprint_offset, found.fingerprint);
    found.attempt = load_u32(header, attempt_offset);
    found.lease = load_span(header, lease_offset);
    found.life = load_span(header, life_offset);
    return found;
}

}  // namespace idempo::redis
