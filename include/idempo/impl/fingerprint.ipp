#pragma once

#include <idempo/fingerprint.hpp>

namespace idempo {

std::string derive_key(store_key const& key, fingerprint const& request, std::string_view label) {
    // Two parts have a fixed size, so none needs its length in front, and any tool can compute the same.
    store_key const derived{detail::sha256().raw(key.view()).raw(request.view()).raw(label).finish()};
    return to_hex(derived.view());
}

}  // namespace idempo
