// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/text.hpp"

namespace idempoctl {

namespace {

/// No store removes a record on a condition, so it is looked at again at the last moment.
bool is_unchanged(store_link& link, seen_record const& seen) {
    idempo::error_code error;
    auto const now = link.store.peek(seen.key, error);
    require(link, error);
    return now && now->state == seen.info.state && now->attempt == seen.info.attempt;
}

}  // namespace

void run_forget(store_link& link, console& io, forget_flags const& flags) {
    auto const seen = look_at(link, flags.change.key, flags.change.attempt);
    refuse_for(why_not_forget(seen.info, flags.is_forced));
    confirm(io, "forget", seen, "The next request with this key is a new one, and runs the handler.");
    bool is_done = is_unchanged(link, seen);
    if (is_done) {
        idempo::error_code error;
        is_done = link.store.forget(seen.key, error);
        require(link, error);
    }
    conclude(io, {"forget", seen.key, sentence_of(seen.info), "none", is_done});
}

}  // namespace idempoctl
