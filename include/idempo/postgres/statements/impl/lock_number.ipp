// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/statements/lock_number.hpp>

#include <idempo/detail/sha256.hpp>

#include <cstring>

namespace idempo::postgres {

std::int64_t lock_number(std::string_view purpose, std::string_view table, std::string_view of) {
    auto const digest = detail::sha256().part("idempo").part(purpose).part(table).part(of).finish();
    std::int64_t number = 0;
    std::memcpy(&number, digest.data(), sizeof number);
    return number;
}

}  // namespace idempo::postgres
