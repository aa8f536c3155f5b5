// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/request_head.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/system/error_code.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace idempo {

namespace asio = boost::asio;

/// The field by which a session gives the layers the address of the peer.
inline constexpr std::string_view peer_field = "Idempo-Peer";

/// Whose request it is, for `rate_limit`; nullopt if that is unknown. Called concurrently. If it throws, the response
/// is the same as if the handler had thrown.
using client_function = std::function<std::optional<std::string>(request_head const&)>;

namespace detail {

/// The address in `text` as one client: an IPv4-mapped IPv6 address is the IPv4 address, and of an IPv6 address the
/// first `ipv6_prefix_bits` count. Returns nullopt if `text` is not an IP address. \pre at most 128
[[nodiscard]] std::optional<std::string> client_of_address(std::string_view text, unsigned ipv6_prefix_bits);

[[nodiscard]] std::string peer_text(asio::ip::address const& address);

}  // namespace detail

/// Writes the peer's address (no port: a client has many) into the request, in place of whatever the client sent under
/// that name. Sessions call it before the handle, with what `peer_address` said when the connection began.
///
/// Only the request reaches every layer in every style of call, and it knows nothing about its connection. If no
/// session calls this, `client::peer` trusts what the client sends: see `docs/layers.md`.
template <class Body, class Fields>
void set_peer(boost::beast::http::request<Body, Fields>& request, asio::ip::address const& address) {
    request.set(peer_field, detail::peer_text(address));
}

/// Who is at the other end of a socket, for `set_peer`; the unspecified address where the client is gone already. Call
/// it once, when the connection begins. `socket.remote_endpoint()` throws when the client has reset the connection,
/// which any client can do at any time.
template <class Socket>
[[nodiscard]] asio::ip::address peer_address(Socket const& socket) {
    boost::system::error_code gone;
    auto const endpoint = socket.remote_endpoint(gone);
    return gone ? asio::ip::address() : endpoint.address();
}

/// Ready-made choices of a client.
namespace client {

/// The address that `set_peer` wrote. IPv6 hosts usually control a whole /64, so addresses are grouped by /64.
/// \throws std::invalid_argument for more than 128 bits
[[nodiscard]] client_function peer(unsigned ipv6_prefix_bits = 64);

/// The value of a field that a trusted proxy sets or that an outer layer has verified. A missing or empty field, or two
/// lines of it, is no client. \throws std::invalid_argument if `name` is not a field name
[[nodiscard]] client_function field(std::string name);

}  // namespace client

}  // namespace idempo
