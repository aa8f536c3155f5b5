// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/client.hpp>

#include <idempo/option_checks.hpp>

#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <utility>

namespace idempo {

namespace detail {

namespace {

namespace ip = boost::asio::ip;

ip::address plain(ip::address const& address) {
    if (!address.is_v6()) return address;
    auto const six = address.to_v6();
    if (six.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, six);
    return ip::address_v6(six.to_bytes());  // without a zone
}

}  // namespace

std::string peer_text(ip::address const& address) { return plain(address).to_string(); }

std::optional<std::string> client_of_address(std::string_view text, unsigned ipv6_prefix_bits) {
    boost::system::error_code error;
    auto const address = plain(ip::make_address(text, error));
    if (error) return std::nullopt;
    if (address.is_v4()) return address.to_string();
    auto const prefix = static_cast<unsigned short>(ipv6_prefix_bits);
    return ip::network_v6(address.to_v6(), prefix).canonical().to_string();
}

}  // namespace detail

namespace client {

client_function peer(unsigned ipv6_prefix_bits) {
    constexpr unsigned all_bits = 128;
    detail::require(ipv6_prefix_bits <= all_bits, "client::peer takes at most 128 bits");
    return [ipv6_prefix_bits](request_head const& head) -> std::optional<std::string> {
        if (head.count(peer_field) != 1) return std::nullopt;
        return detail::client_of_address(head.field(peer_field), ipv6_prefix_bits);
    };
}

client_function field(std::string name) {
    detail::require(detail::is_token(name), "client::field takes a field name");
    return [name = std::move(name)](request_head const& head) -> std::optional<std::string> {
        if (head.count(name) != 1 || head.field(name).empty()) return std::nullopt;
        return std::string(head.field(name));
    };
}

}  // namespace client

}  // namespace idempo
