// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/called_operation.hpp>

#include <idempo/identifiers.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::redis {

/// What SCAN has found on one server.
struct scanned_keys {
    /// Where it goes on; 0 at the end.
    std::uint64_t cursor = 0;
    /// Those that are ours, by their form.
    std::vector<store_key> keys{};
};

/// What one SCAN looks at.
struct scan_range {
    /// Of a cluster, whose primary is asked.
    std::uint16_t slot = 0;
    /// 0 at the beginning.
    std::uint64_t cursor = 0;
    /// At most `scan_operation::most`.
    std::size_t count = 0;
    /// That the store keys begin with, hexadecimal.
    std::string digits{};
};

/// SCAN: https://redis.io/docs/latest/commands/scan/
class scan_operation final : public called_operation<scanned_keys> {
public:
    /// A call looks at about as many keys, in one or two milliseconds: so that no other command waits for longer.
    static constexpr std::size_t most = 1000;

    scan_operation(scan_range range, std::string_view prefix, boost::asio::any_io_executor executor, handler done);
    [[nodiscard]] std::uint16_t slot() const override { return range_.slot; }
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;

private:
    scan_range range_;
    std::string prefix_;
};

/// What matches the prefix and nothing else, in Redis' language of patterns.
[[nodiscard]] std::string pattern_of_prefix(std::string_view prefix);

/// The store key in a key of ours; nothing in any other.
[[nodiscard]] std::optional<store_key> key_in(std::string_view redis_key, std::string_view prefix);

}  // namespace idempo::redis
