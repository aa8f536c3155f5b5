// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/none.hpp>

#include <string>
#include <utility>

/// \file
/// What a client reads of an answer, without a socket.

namespace idempo::testing {

namespace http = boost::beast::http;

/// The bytes that go out.
/// \throws boost::system::system_error what the body fails with
[[nodiscard]] inline std::string bytes_of(http::message_generator message) {
    std::string bytes;
    boost::beast::error_code error;
    while (!message.is_done()) {
        auto const buffers = message.prepare(error);
        if (error) throw boost::beast::system_error(error);
        if (message.is_done()) break;  // Beast 1.81 returns its last buffers again if a body ends without any
        bytes += boost::beast::buffers_to_string(buffers);
        message.consume(boost::beast::buffer_bytes(buffers));
    }
    return bytes;
}

/// The response that a client would read.
/// \throws boost::system::system_error also where the bytes are no whole response
[[nodiscard]] inline http::response<http::string_body> read_answer(http::message_generator message) {
    auto const bytes = bytes_of(std::move(message));
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(boost::none);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(bytes), error);
    if (!error && !parser.is_done()) parser.put_eof(error);
    if (error) throw boost::beast::system_error(error);
    return parser.release();
}

}  // namespace idempo::testing
