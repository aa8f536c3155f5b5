// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/problem.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace idempo {

/// The error of the Agentic Commerce Protocol, `{"type":…,"code":…,"message":…}` (version 2026-04-17, section 6.4 of
/// rfc.agentic_checkout.md): `idempotency_key_required`, `idempotency_conflict` and `idempotency_in_flight` of type
/// `invalid_request`. Refusals that it does not know have code `invalid`, or the type of its general errors. A
/// `problem_writer`.
void write_acp_error(http::response<http::string_body>& response, problem const& problem,
                     refusal_details const& details);

}  // namespace idempo
