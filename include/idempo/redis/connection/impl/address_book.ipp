// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/address_book.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace idempo::redis {

bool address_book::begin_lookup(std::string const& host) { return !std::exchange(entries_[host].is_under_way, true); }

void address_book::end_lookup(std::string const& host, ip_addresses found, error_code error) {
    auto& entry = entries_[host];
    entry.is_under_way = false;
    if (!error && found.empty()) error = asio::error::host_not_found;
    entry.error = error;
    bool const may_pass = error == asio::error::host_not_found_try_again || error == asio::error::no_memory;
    if (!may_pass) entry.found = std::move(found);
}

ip_addresses address_book::known(std::string const& host, error_code& error) const {
    auto const place = entries_.find(host);
    error = asio::error::timed_out;
    if (place == entries_.end()) return {};
    auto const& entry = place->second;
    auto sorted = entry.found;
    // Those that have not failed come first.
    auto const rank = [&entry](asio::ip::address const& address) {
        auto const failure = std::find(entry.failed.begin(), entry.failed.end(), address);
        return failure == entry.failed.end() ? -1 : failure - entry.failed.begin();
    };
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](auto const& left, auto const& right) { return rank(left) < rank(right); });
    if (!sorted.empty()) {
        error.clear();
    } else if (!entry.is_under_way) {
        error = entry.error;
    }
    return sorted;
}

void address_book::report_failure(std::string const& host, asio::ip::address const& address) {
    auto& failed = entries_[host].failed;
    std::erase(failed, address);
    failed.push_back(address);
    if (failed.size() > max_failed) failed.erase(failed.begin());
}

void address_book::report_success(std::string const& host, asio::ip::address const& address) {
    std::erase(entries_[host].failed, address);
}

}  // namespace idempo::redis
