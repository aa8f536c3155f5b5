// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"

/// The response while the database is unavailable: try again. The requested work may have happened all the
/// same.
[[nodiscard]] inline http_response outage_response(unsigned version, bool keep_alive) {
    auto answer = problem_response(503, "The database is unavailable", version, keep_alive);
    answer.set(http::field::retry_after, "1");
    return answer;
}
