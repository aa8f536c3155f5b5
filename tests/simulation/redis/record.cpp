// SPDX-License-Identifier: MIT
#include "simulation/redis/record.hpp"

namespace idempo::simulation {

namespace {

constexpr std::string_view magic("idr\1", 4);
constexpr std::size_t sum_at = 80;
/// Of the size of the reason, in front of it.
constexpr std::size_t prefix_size = 2;

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t width) {
    std::uint64_t number = 0;
    for (char const each : bytes.substr(at, width)) number = number << 8U | static_cast<unsigned char>(each);
    return number;
}

void append_number(std::string& to, std::uint64_t number, std::size_t width) {
    while (width-- > 0) to += static_cast<char>(number >> 8 * width & 0xFFU);
}

std::uint64_t sum_of(std::string_view header) {
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < sum_at; at += 4) sum += number_at(header, at, 4);
    return sum & 0xFFFFFFFFU;
}

}  // namespace

std::string_view redis_record::reason() const {
    if (!is_parked()) return {};
    return std::string_view(body).substr(prefix_size, number_at(body, 0, prefix_size));
}

std::string_view redis_record::steps() const {
    std::string_view const all = body;
    return is_parked() ? all.substr(prefix_size + number_at(body, 0, prefix_size)) : all;
}

std::string redis_record::as_value() const {
    std::string value(magic);
    value.append(state).append(token).append(fingerprint);
    append_number(value, attempt, 4);
    append_number(value, static_cast<std::uint64_t>(lease), 8);
    append_number(value, static_cast<std::uint64_t>(life), 8);
    append_number(value, body.size(), 4);
    append_number(value, sum_of(value), 4);
    value.append(body);
    return value;
}

redis_record read_redis_header(std::string_view header) {
    redis_record found;
    found.state = header.substr(4, 4);
    found.token = header.substr(8, 16);
    found.fingerprint = header.substr(24, 32);
    found.attempt = static_cast<std::uint32_t>(number_at(header, 56, 4));
    found.lease = static_cast<std::int64_t>(number_at(header, 60, 8));
    found.life = static_cast<std::int64_t>(number_at(header, 68, 8));
    return found;
}

std::optional<redis_record> read_redis_record(std::string_view value, std::size_t size) {
    if (value.size() < redis_record::header_size || !value.starts_with(magic)) return std::nullopt;
    auto const length = number_at(value, 76, 4);
    if (number_at(value, sum_at, 4) != sum_of(value) || size != redis_record::header_size + length) return std::nullopt;
    auto found = read_redis_header(value);
    found.body = value.substr(redis_record::header_size);
    if (!found.is_done() && !found.is_parked() && found.state != "open") return std::nullopt;
    if (found.is_parked() && (length < 2 || length < 2 + number_at(found.body, 0, prefix_size))) return std::nullopt;
    return found;
}

}  // namespace idempo::simulation
