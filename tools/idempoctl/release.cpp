// SPDX-License-Identifier: MIT
#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/text.hpp"

#include <idempo/observer.hpp>
#include <idempo/stores/settle.hpp>

namespace idempoctl {

void run_release(store_link& link, console& io, change_flags const& flags) {
    auto const seen = look_at(link, flags.key, flags.attempt);
    refuse_for(why_not_settle(seen.info));
    confirm(io, "release", seen,
            "The next request with this key runs the handler. If the effect has happened, that is twice.");
    idempo::error_code error;
    idempo::settle_request const request{seen.key, seen.info.attempt, {}, flags.retention};
    bool const is_done = idempo::settle(link.store, request, idempo::log_to(io.err), error);
    require(link, error);
    conclude(io, {"release", seen.key, sentence_of(seen.info), "free", is_done});
}

}  // namespace idempoctl
