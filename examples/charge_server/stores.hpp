#pragma once

#include <idempo/open_store.hpp>

#ifdef CHARGE_SERVER_HAS_REDIS
#include <idempo/redis_store.hpp>
#endif

#include <boost/asio/any_io_executor.hpp>

#include <string_view>
#include <utility>

/// Any store that this server knows.
inline idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url) {
    return idempo::open_store(std::move(executor), url
#ifdef CHARGE_SERVER_HAS_REDIS
                              ,
                              idempo::redis_scheme()
#endif
    );
}
