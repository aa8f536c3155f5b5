// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/scheme.hpp>

#include <idempo/redis/store.hpp>

#include <utility>

namespace idempo {

any_store redis_scheme::open(asio::any_io_executor executor, std::string_view url) const {
    return any_store(redis_store(std::move(executor), parse_redis_url(url, others)));
}

}  // namespace idempo
