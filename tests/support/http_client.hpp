// SPDX-License-Identifier: MIT
#pragma once

#include "support/requests.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::tests {

namespace http = boost::beast::http;

using field_list = std::vector<std::pair<std::string, std::string>>;

/// A POST with a key; an empty key: without one.
[[nodiscard]] text_request make_post(std::string_view target, std::string_view key, std::string body,
                                     field_list const& fields = {});

/// A blocking client with one keep-alive connection. Every wait ends with an exception after a while.
class http_client {
public:
    explicit http_client(std::uint16_t port, char const* address = "127.0.0.1");

    /// Sends and receives.
    text_response exchange(text_request const& message);
    text_response post(std::string_view target, std::string_view key, std::string body, field_list const& fields = {}) {
        return exchange(make_post(target, key, std::move(body), fields));
    }
    text_response get(std::string_view target);

    /// \name One half of an exchange
    /// @{
    void send(text_request const& message);
    void send_raw(std::string_view bytes);
    /// Shuts the sending side down.
    void end_sending();
    text_response receive();
    /// The response to a HEAD, without a body.
    text_response receive_head();
    /// Nullopt if the server closed the connection without a response.
    std::optional<text_response> receive_or_closed();
    /// Whether the server closes the connection, with nothing more to read.
    bool is_closed();
    /// @}

    /// Closes the connection so that the server gets an error: a reset instead of an end.
    void reset();

private:
    /// Runs one operation to its end: `start` gets the completion handler.
    template <class Start>
    boost::system::error_code run(Start start);

    boost::asio::io_context context_;
    boost::beast::tcp_stream stream_{context_};
    boost::beast::flat_buffer buffer_;
};

}  // namespace idempo::tests
