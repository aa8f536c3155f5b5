// SPDX-License-Identifier: MIT

// As if it included the headers of another version: it must not link.
namespace idempo::detail {
extern char const library_v0_999;
[[gnu::used]] inline char const* const headers_v0_999 = &library_v0_999;
}  // namespace idempo::detail

int main() {}
