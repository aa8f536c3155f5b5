// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace idempo::redis {

namespace asio = boost::asio;

using ip_addresses = std::vector<asio::ip::address>;

/// What is known of the addresses of names, and which of them failed. It looks nothing up. Not thread-safe.
class address_book {
public:
    /// Of failures, for each name.
    static constexpr std::size_t max_failed = 64;

    /// Whether a lookup must be made now; not while one is under way.
    [[nodiscard]] bool begin_lookup(std::string const& host);

    /// How a lookup has ended. What was found before is kept where the failure may pass.
    void end_lookup(std::string const& host, ip_addresses found, error_code error);

    /// What the last lookup has found, with the addresses that failed last at the end. While one is under way, or where
    /// the last one failed for the time being: what was found before; if there was nothing, `timed_out` or the error.
    [[nodiscard]] ip_addresses known(std::string const& host, error_code& error) const;

    void report_failure(std::string const& host, asio::ip::address const& address);
    void report_success(std::string const& host, asio::ip::address const& address);

private:
    struct name_entry {
        ip_addresses found;
        error_code error;
        bool is_under_way = false;
        /// In the order of their failures.
        ip_addresses failed;
    };

    std::map<std::string, name_entry> entries_;
};

}  // namespace idempo::redis
