#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/operation.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <vector>

namespace idempo::postgres {

/// Carries out operations of one kind, in the order of their keys; of one key several only where all of them expect a
/// record; one `peek` or `forget`.
/// Returns an outcome for each of them.
/// \throws statement_failure: some or all may have been carried out, and all may be carried out again
[[nodiscard]] std::vector<outcome> carry_out(connection& with, statements const& sql,
                                             std::vector<request const*> const& batch);

}  // namespace idempo::postgres
