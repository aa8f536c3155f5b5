// SPDX-License-Identifier: MIT
#pragma once

namespace idempo::tests {

/// Beast from 1.90 on merges trailers only when told to, only those that the head announces, and of those that change
/// the framing none.
template <class Parser>
constexpr bool drops_trailers = requires(Parser& parser) { parser.merge_all_trailers(true); };

}  // namespace idempo::tests
