// SPDX-License-Identifier: MIT

// The bytes of a record from a store: ours, forged or damaged.

#include "fuzz/replay_properties.hpp"

#include <idempo/record/record_writer.hpp>
#include <idempo/record/stored_response.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace idempo;
using idempo::fuzz::require;

namespace {

/// The record with a fitting checksum, as an attacker who knows the format would write it; otherwise no input would
/// pass the checksum.
shared_bytes sealed(std::string_view record) {
    auto const size = record.size() + detail::record_checksum_size;
    return {size, [record, size](char* to) {
                record.copy(to, record.size());
                detail::seal_record(to, size);
            }};
}

std::string written_again(stored_response const& stored) {
    if (!stored.retained()) return std::string(make_tombstone(stored.status(), stored.traceparent()).view());
    detail::record_writer writer(stored.status(), stored.reason());
    for (auto const& [name, value] : stored.fields()) writer.add(http::field::unknown, name, value);
    auto const record = writer.write({stored.body().size(), true, stored.traceparent()}, stored.body().size(),
                                     [&stored](auto&& append) { append(stored.body()); });
    require(record.has_value(), "what is read can be written");
    return std::string(record->view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    unsigned const choice = data[0];
    std::string_view const bytes(reinterpret_cast<char const*>(data) + 1, size - 1);
    auto const record = (choice & 1U) != 0 ? sealed(bytes) : shared_bytes(bytes);

    error_code ec;
    auto const stored = stored_response::decode(record, ec);
    if (ec) {
        require(ec == error::record_unreadable && !stored.retained(), "what is refused is not read by half");
        return 0;
    }
    require(written_again(stored) == record.view(), "a response has one record only");
    if (stored.retained()) fuzz::check_replay(stored, (choice & 2U) != 0 ? 10 : 11, (choice & 4U) != 0);
    return 0;
}
