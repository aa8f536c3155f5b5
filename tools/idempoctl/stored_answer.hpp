// SPDX-License-Identifier: MIT
#pragma once

#include "idempoctl/store_link.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>

#include <optional>

namespace idempoctl {

/// The fingerprint of the record, by which alone a store gives anything away of it. It is asked by a claim with a
/// fingerprint that nobody has, which writes nothing. Empty where there is no record any more, or the store does not
/// tell it.
[[nodiscard]] std::optional<idempo::fingerprint> fingerprint_of(store_link& link, idempo::store_key const& key);

/// What Complete was given. Empty where the record is not completed any more.
[[nodiscard]] std::optional<idempo::shared_bytes> stored_answer(store_link& link, idempo::store_key const& key);

}  // namespace idempoctl
