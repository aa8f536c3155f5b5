// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/result.hpp>

#include <charconv>
#include <stdexcept>
#include <system_error>

namespace idempo::postgres {

namespace {

constexpr int binary_format = 1;

std::int64_t number_from_text(std::string_view text) {
    if (text == "t") return 1;
    if (text == "f") return 0;
    std::int64_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) throw std::invalid_argument("not a number");
    return number;
}

std::int64_t number_from_binary(std::string_view bytes) {
    if (bytes.empty() || bytes.size() > sizeof(std::int64_t)) throw std::invalid_argument("not a number");
    auto const is_negative = bytes.size() > 1 && static_cast<signed char>(bytes.front()) < 0;
    std::uint64_t number = is_negative ? ~std::uint64_t{0} : 0;
    for (char const each : bytes) number = number << 8 | static_cast<unsigned char>(each);
    return static_cast<std::int64_t>(number);
}

}  // namespace

std::size_t result::size() const noexcept { return static_cast<std::size_t>(PQntuples(rows_.get())); }

bool result::is_table() const noexcept { return PQresultStatus(rows_.get()) == PGRES_TUPLES_OK; }

std::string_view result::tag() const noexcept {
    auto const* const tag = rows_ ? PQcmdStatus(rows_.get()) : nullptr;
    return tag != nullptr ? tag : "";
}

bool result::is_null(std::size_t row, int column) const noexcept {
    return PQgetisnull(rows_.get(), static_cast<int>(row), column) != 0;
}

std::string_view result::bytes(std::size_t row, int column) const noexcept {
    auto const at = static_cast<int>(row);
    return {PQgetvalue(rows_.get(), at, column), static_cast<std::size_t>(PQgetlength(rows_.get(), at, column))};
}

std::int64_t result::number(std::size_t row, int column) const {
    auto const field = bytes(row, column);
    return PQfformat(rows_.get(), column) == binary_format ? number_from_binary(field) : number_from_text(field);
}

}  // namespace idempo::postgres
