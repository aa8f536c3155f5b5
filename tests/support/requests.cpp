// SPDX-License-Identifier: MIT
#include "support/requests.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/optional/optional.hpp>

#include <utility>

namespace idempo::tests {

namespace beast = boost::beast;

text_request unkeyed_request(std::string_view body) {
    text_request request(http::verb::post, "/charge", 11);
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    return request;
}

text_request keyed_request(std::string_view key, std::string_view body) {
    auto request = unkeyed_request(body);
    request.set("Idempotency-Key", key);
    return request;
}

std::string bytes_of(http::message_generator message) {
    std::string bytes;
    beast::error_code error;
    while (!message.is_done()) {
        auto const buffers = message.prepare(error);
        if (error) throw beast::system_error(error);
        if (message.is_done()) break;  // Beast 1.81 returns its last buffers again if a body ends without any
        bytes += beast::buffers_to_string(buffers);
        message.consume(beast::buffer_bytes(buffers));
    }
    return bytes;
}

text_response read(http::message_generator message) {
    auto const bytes = bytes_of(std::move(message));
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(boost::none);
    beast::error_code error;
    parser.put(boost::asio::buffer(bytes), error);
    if (!error && !parser.is_done()) parser.put_eof(error);
    if (error) throw beast::system_error(error);
    return parser.release();
}

bool is_replay(text_response const& response) { return response[replayed] == "true"; }

}  // namespace idempo::tests
