// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <string>

namespace idempo {

namespace {

class idempo_category final : public boost::system::error_category {
public:
    [[nodiscard]] char const* name() const noexcept override { return "idempo"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<error>(value)) {
        case error::store_unavailable: return "The idempotency store is unavailable.";
        case error::store_full: return "The idempotency store has no room for another record.";
        case error::store_timed_out: return "The idempotency store did not answer in time.";
        case error::record_unreadable: return "The stored record is not one that this version can read.";
        case error::trailer_refused: return "A trailer named a field that only the header may hold.";
        case error::framing_refused: return "The Transfer-Encoding does not say where the request ends.";
        case error::host_refused: return "The request needs exactly one valid Host.";
        case error::target_refused: return "The request target is not valid.";
        case error::coding_unsupported: return "The request uses a transfer coding other than chunked.";
        }
        return "Unknown idempo error " + std::to_string(value) + ".";
    }
};

}  // namespace

boost::system::error_category const& error_category() noexcept {
    static idempo_category const category;
    return category;
}

}  // namespace idempo
