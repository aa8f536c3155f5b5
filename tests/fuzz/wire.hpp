// SPDX-License-Identifier: MIT
#pragma once

#include "fuzz/require.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::fuzz {

namespace http = boost::beast::http;
using error_code = boost::system::error_code;

/// The sent bytes, up to an error.
inline std::string bytes_of(http::message_generator message) {
    std::string bytes;
    error_code ec;
    while (!message.is_done()) {
        auto const pieces = message.prepare(ec);
        // A body that ends only now has no new buffers; the previous ones are still there.
        if (ec || message.is_done()) break;
        bytes += boost::beast::buffers_to_string(pieces);
        message.consume(boost::beast::buffer_bytes(pieces));
    }
    return bytes;
}

/// The response that an independent client reads.
/// \returns nullopt if the bytes are not exactly one whole response.
inline std::optional<http::response<http::string_body>> read_one_response(std::string_view bytes) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(std::uint64_t{1} << 20);  // a string_body allocates the whole Content-Length at once
    parser.header_limit(std::numeric_limits<std::uint32_t>::max());
    error_code ec;
    auto unread = boost::asio::buffer(bytes);
    while (!ec && !parser.is_done() && unread.size() != 0) unread += parser.put(unread, ec);
    if (!ec && !parser.is_done() && parser.got_some()) parser.put_eof(ec);
    if (ec || !parser.is_done() || unread.size() != 0) return std::nullopt;
    return parser.release();
}

}  // namespace idempo::fuzz
