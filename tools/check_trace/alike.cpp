// SPDX-License-Identifier: MIT
#include "check_trace/alike.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

namespace check_trace {

namespace {

/// What decides what a Claim may do, besides its token and its time.
auto kind_of(call const& claim) {
    return std::tuple(claim.request, claim.lease, claim.retention, claim.remember, claim.takes_over,
                      claim.takes_parked);
}

/// Whether it is one that another may stand for: a Claim that may be executed at any time.
bool is_open_claim(call const& each) { return each.what == subject::claim && each.repeated == never; }

/// Tokens that stay whatever they did: of calls other than a Claim and an Abandon.
tokens with_other_calls(std::vector<call> const& unanswered, tokens shown) {
    for (auto const& each : unanswered) {
        if (!is_open_claim(each) && each.what != subject::abandon) shown.insert(each.token);
    }
    return shown;
}

/// Tokens whose calls are left out.
tokens left_out(std::vector<call> const& unanswered, tokens const& stay, std::size_t most) {
    std::map<decltype(kind_of(unanswered.front())), std::size_t> claims;
    std::size_t lone_abandons = 0;  // of Claims that were left out before
    tokens claimed;
    tokens found;
    for (auto const& each : unanswered) {
        if (stay.contains(each.token)) continue;
        bool const is_claim = is_open_claim(each);
        if (is_claim) claimed.insert(each.token);
        if (!is_claim && claimed.contains(each.token)) continue;
        if (++(is_claim ? claims[kind_of(each)] : lone_abandons) > most) found.insert(each.token);
    }
    return found;
}

}  // namespace

std::vector<call> without_alike(std::vector<call> const& unanswered, tokens const& shown, std::size_t most) {
    if (unanswered.size() <= most) return unanswered;
    auto const left = left_out(unanswered, with_other_calls(unanswered, shown), most);
    std::vector<call> kept;
    std::copy_if(unanswered.begin(), unanswered.end(), std::back_inserter(kept),
                 [&](call const& each) { return !left.contains(each.token); });
    return kept;
}

}  // namespace check_trace
