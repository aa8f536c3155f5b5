// SPDX-License-Identifier: MIT
#pragma once

#include "idempoctl/console.hpp"
#include "idempoctl/key_choice.hpp"
#include "idempoctl/store_link.hpp"

#include <idempo/store.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// \file
/// The commands. Each throws a `failure` where it ends in any other way than well.

namespace idempoctl {

/// Which records `list` shows.
struct list_filter {
    std::optional<idempo::record_state> state{};
    /// Last claimed, renewed, parked or completed so long ago. Records whose store does not know that do not match.
    std::optional<std::chrono::milliseconds> older_than{};
    unsigned least_attempt = 0;
    /// In flight, and nobody is known to work on it.
    bool has_ended_lease = false;
};

[[nodiscard]] bool matches(list_filter const& filter, idempo::record_info const& info);

struct list_flags {
    list_filter filter{};
    /// Stops behind the page in which so many have been found.
    std::size_t limit = 50;
    std::string after{};
};

void run_list(store_link& link, console& io, list_flags const& flags);

struct show_flags {
    key_choice key;
    bool with_body = false;
};

void run_show(store_link& link, console& io, show_flags const& flags);

/// How long what a command writes is kept, unless it is told.
inline constexpr std::chrono::milliseconds default_retention = std::chrono::hours{24};

struct change_flags {
    key_choice key;
    /// Only this attempt.
    std::optional<unsigned> attempt{};
    std::chrono::milliseconds retention = default_retention;
};

/// The next request with the key runs the handler.
void run_release(store_link& link, console& io, change_flags const& flags);

struct settle_flags {
    change_flags change;
    unsigned status = 0;
    std::string body{};
    /// `Name: value`
    std::vector<std::string> fields{};
};

/// The next request with the key gets this answer.
void run_settle(store_link& link, console& io, settle_flags const& flags);

struct hold_flags {
    change_flags change;
    std::string reason{};
};

/// No request with the key runs the handler until it is settled or released.
void run_hold(store_link& link, console& io, hold_flags const& flags);

struct forget_flags {
    change_flags change;
    bool is_forced = false;
};

/// The record is removed: the next request with the key is a new one.
void run_forget(store_link& link, console& io, forget_flags const& flags);

/// Counts what the store holds.
void run_stats(store_link& link, console& io);

/// Whether the store is fit for use.
void run_check(store_link& link, console& io);

}  // namespace idempoctl
