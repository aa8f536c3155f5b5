#pragma once

#include <idempo/any_store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <string_view>

/// Any store that this server knows. What a store says of its server goes to standard error.
/// \throws std::invalid_argument for a URL that makes no sense
[[nodiscard]] idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url);
