// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>

#include <cstddef>
#include <utility>

namespace idempo::postgres {

namespace {

constexpr std::uint32_t bytea_type = 17;
constexpr std::uint32_t bigint_type = 20;

template <class Unsigned>
void append_big_endian(std::string& to, Unsigned number) {
    for (std::size_t left = sizeof number; left > 0; --left) {
        to += static_cast<char>(static_cast<unsigned char>(number >> (8 * (left - 1))));
    }
}

// The format is that of array_recv and array_send in PostgreSQL.
void append_array_header(std::string& to, std::uint32_t element_type, std::size_t size) {
    constexpr std::uint32_t dimensions = 1;
    constexpr std::uint32_t has_null = 0;
    constexpr std::uint32_t lower_bound = 1;
    for (auto const number : {dimensions, has_null, element_type, static_cast<std::uint32_t>(size), lower_bound}) {
        append_big_endian(to, number);
    }
}

}  // namespace

void binary_parameters::add(std::int64_t number) {
    append_big_endian(values_.emplace_back(), static_cast<std::uint64_t>(number));
}

void binary_parameters::add_array(std::vector<std::string_view> const& elements) {
    auto& value = values_.emplace_back();
    append_array_header(value, bytea_type, elements.size());
    for (auto const element : elements) {
        append_big_endian(value, static_cast<std::uint32_t>(element.size()));
        value += element;
    }
}

void binary_parameters::add_array(std::vector<std::int64_t> const& elements) {
    auto& value = values_.emplace_back();
    append_array_header(value, bigint_type, elements.size());
    for (auto const element : elements) {
        append_big_endian(value, static_cast<std::uint32_t>(sizeof element));
        append_big_endian(value, static_cast<std::uint64_t>(element));
    }
}

}  // namespace idempo::postgres
