#pragma once

#include <idempo/stores/any_store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <string>
#include <string_view>

/// Any store that this server knows. What a store says of its server goes to standard error.
/// \throws std::invalid_argument for a URL that makes no sense
[[nodiscard]] idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url);

/// Looks at the store before anything is served; what an operator should know goes to standard error.
/// \throws std::invalid_argument for a URL that makes no sense, and where the store has to be migrated first.
void check_store(std::string_view url);

/// Prepares what the store needs, and says in some words what it did.
/// \throws std::invalid_argument for a URL that makes no sense.
/// \throws std::runtime_error where it cannot.
[[nodiscard]] std::string migrate_store(std::string_view url);
