// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/stored_answer.hpp"
#include "idempoctl/text.hpp"

#include <idempo/store.hpp>

#include <variant>

namespace idempoctl {

namespace {

/// Long enough for the next call.
constexpr std::chrono::seconds own_lease{30};

/// Takes the record over as the next attempt, which nobody else can do at the same time, and parks it.
bool take_and_park(store_link& link, seen_record const& seen, hold_flags const& flags) {
    auto const fingerprint = fingerprint_of(link, seen.key);
    if (!fingerprint) return false;
    idempo::claim_request claim{seen.key, *fingerprint, idempo::make_fencing_token(), own_lease,
                                flags.change.retention};
    idempo::error_code error;
    auto const result = link.store.claim(claim, error);
    require(link, error);
    auto const* const taken = std::get_if<idempo::granted>(&result);
    if (taken == nullptr) return false;
    bool is_done = false;
    if (taken->attempt == seen.info.attempt + 1) {
        is_done = link.store.park({seen.key, *fingerprint, claim.fencing_token,
                                   idempo::shared_bytes(std::string_view(flags.reason)), flags.change.retention},
                                  error);
    }
    if (!is_done) {
        idempo::error_code ignored;
        link.store.abandon(seen.key, claim.fencing_token, ignored);
    }
    require(link, error);
    return is_done;
}

}  // namespace

void run_hold(store_link& link, console& io, hold_flags const& flags) {
    if (flags.reason.size() > idempo::largest_park_reason) {
        throw failure(exit_code::wrong_usage, "--reason: at most 1024 bytes");
    }
    auto const seen = look_at(link, flags.change.key, flags.change.attempt);
    refuse_for(why_not_hold(seen.info));
    confirm(io, "hold", seen, "Each request with this key gets 409 until it is settled or released.");
    bool const is_done = take_and_park(link, seen, flags);
    conclude(io, {"hold", seen.key, sentence_of(seen.info), "parked, attempt " + std::to_string(seen.info.attempt + 1),
                  is_done});
}

}  // namespace idempoctl
