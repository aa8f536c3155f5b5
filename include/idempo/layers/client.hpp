#pragma once

#include <idempo/request_head.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/message.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace idempo {

namespace asio = boost::asio;

/// The field by which a session tells the layers who is at the other end.
inline constexpr std::string_view peer_field = "Idempo-Peer";

/// Whose request it is, for `rate_limit`; nothing where that cannot be said. Called concurrently; may throw, which is
/// answered as if the handler had thrown.
using client_function = std::function<std::optional<std::string>(request_head const&)>;

namespace detail {

/// The address in `text` as one client: an IPv4-mapped IPv6 address is the IPv4 address, and of an IPv6 address the
/// first `ipv6_prefix_bits` count. Empty for what is no address. \pre at most 128
[[nodiscard]] std::optional<std::string> client_of_address(std::string_view text, unsigned ipv6_prefix_bits);

[[nodiscard]] std::string peer_text(asio::ip::address const& address);

}  // namespace detail

/// Writes the peer's address (no port: a client has many) into the request, in place of whatever the client sent under
/// that name. Sessions call it before the handle: `set_peer(request, socket.remote_endpoint().address())`.
///
/// The request is the one thing that reaches every layer in every style of call; it knows nothing of its connection.
/// Where no session calls this, `client::peer` would believe the client: see `docs/layers.md`.
template <class Body, class Fields>
void set_peer(boost::beast::http::request<Body, Fields>& request, asio::ip::address const& address) {
    request.set(peer_field, detail::peer_text(address));
}

/// Ready-made choices of a client.
namespace client {

/// What `set_peer` wrote. Who has an IPv6 address mostly has 2^64 of them, so that those of one /64 are one client.
/// \throws std::invalid_argument for more than 128 bits
[[nodiscard]] client_function peer(unsigned ipv6_prefix_bits = 64);

/// The value of a field, for one that a trusted proxy sets or that a layer further out has verified. None, an empty one
/// or two lines of it: nobody. \throws std::invalid_argument for what is no field name
[[nodiscard]] client_function field(std::string name);

}  // namespace client

}  // namespace idempo
