// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/scheme.hpp>

#include <idempo/postgres/store.hpp>

#include <utility>

namespace idempo {

any_store postgres_scheme::open(asio::any_io_executor executor, std::string_view url) const {
    return any_store(postgres_store(std::move(executor), parse_postgres_url(url, others)));
}

}  // namespace idempo
