// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/record_seal.hpp>

#include <string>
#include <vector>

namespace idempoctl {

/// The keys in a file, one a line, the first one seals: `7:SECRET` with the secret as the service gives it to
/// `seal_key`, or `7:hex:DIGITS` where it is not text. Empty lines and those that begin with `#` do not count.
/// \param path empty: no keys
/// \throws failure where the file cannot be read, or a line is none of these; it never quotes a line
[[nodiscard]] std::vector<idempo::seal_key> read_seal_keys(std::string const& path);

}  // namespace idempoctl
