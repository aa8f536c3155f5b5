// SPDX-License-Identifier: MIT
#pragma once

#include "idempoctl/console.hpp"
#include "idempoctl/key_choice.hpp"
#include "idempoctl/store_link.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What all commands have in common that change a record: it is looked at, the change is allowed or not, a person
/// confirms it, it happens only to what was looked at, and a line says so.

namespace idempoctl {

/// A record as it was seen.
struct seen_record {
    idempo::store_key key;
    idempo::record_info info;
};

/// \throws failure where there is no record, or `attempt` is another
[[nodiscard]] seen_record look_at(store_link& link, key_choice const& choice, std::optional<unsigned> attempt = {});

/// \name Whether a change is allowed
/// Empty, or why not: a sentence.
/// \{
[[nodiscard]] std::string why_not_settle(idempo::record_info const& info);
[[nodiscard]] std::string why_not_hold(idempo::record_info const& info);
/// \param is_forced a holder that may still be at work is ignored
[[nodiscard]] std::string why_not_forget(idempo::record_info const& info, bool is_forced);
/// \}

/// \throws failure where there is a reason
void refuse_for(std::string const& reason);

/// Asks whether to go on, on a terminal.
/// \param what follows: what the change means for the next request
/// \throws failure where nobody confirms
void confirm(console& io, std::string_view action, seen_record const& seen, std::string_view what);

/// What an audit line says.
struct audit_entry {
    std::string action;
    idempo::store_key key;
    std::string before;
    std::string after;
    bool is_done = false;
};

/// One line to standard error: time, user, action, key, before, after, result.
void audit(console& io, audit_entry const& entry);
[[nodiscard]] std::string audit_line(audit_entry const& entry, std::chrono::system_clock::time_point now,
                                     std::string_view user);

/// Tells what has become of it. \throws failure where the record had changed meanwhile
void conclude(console& io, audit_entry const& entry);

}  // namespace idempoctl
