// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/any_store.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Any store that this server knows. What a store says of its server goes to standard error.
/// \throws std::invalid_argument if the URL is invalid
[[nodiscard]] idempo::any_store open_any_store(boost::asio::any_io_executor executor, std::string_view url,
                                               std::optional<idempo::tracer> const& trace = {});

/// Checks the store before anything is served; warnings for the operator go to standard error.
/// \throws std::invalid_argument if the URL is invalid, and where the store has to be migrated first.
void check_store(std::string_view url);

/// Prepares the store, and returns a short report.
/// \throws std::invalid_argument if the URL is invalid.
/// \throws std::runtime_error if it cannot.
[[nodiscard]] std::string migrate_store(std::string_view url);
