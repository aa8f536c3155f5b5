// SPDX-License-Identifier: MIT
#pragma once

#include "servers/charge_server/flags.hpp"

/// Prepares the store for `serve`.
/// \throws std::invalid_argument if the store's URL is invalid.
void migrate(server_flags const& flags);

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends the process at once.
/// \throws std::invalid_argument if the store's URL is invalid.
/// \throws std::runtime_error if it cannot listen.
void serve(server_flags const& flags);
