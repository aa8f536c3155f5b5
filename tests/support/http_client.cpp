// SPDX-License-Identifier: MIT
#include "support/http_client.hpp"

#include "support/patience.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <array>

namespace idempo::tests {

using boost::asio::ip::tcp;
using boost::system::error_code;

namespace {

void require_success(error_code error) {
    if (error) throw boost::system::system_error(error);
}

}  // namespace

text_request make_post(std::string_view target, std::string_view key, std::string body, field_list const& fields) {
    text_request message(http::verb::post, target, 11);
    message.set(http::field::host, "localhost");
    message.set(http::field::content_type, "application/json");
    if (!key.empty()) message.set("Idempotency-Key", key);
    for (auto const& [name, value] : fields) message.insert(name, value);
    message.body() = std::move(body);
    message.prepare_payload();
    return message;
}

http_client::http_client(std::uint16_t port, char const* address) {
    tcp::endpoint const server(boost::asio::ip::make_address(address), port);
    require_success(run([&](auto done) { stream_.async_connect(server, std::move(done)); }));
    stream_.socket().set_option(tcp::no_delay(true));
}

template <class Start>
error_code http_client::run(Start start) {
    error_code result;
    stream_.expires_after(patience);
    start([&result](error_code error, auto const&...) { result = error; });
    context_.restart();
    context_.run();
    return result;
}

text_response http_client::exchange(text_request const& message) {
    send(message);
    return receive();
}

text_response http_client::get(std::string_view target) {
    text_request message(http::verb::get, target, 11);
    message.set(http::field::host, "localhost");
    return exchange(message);
}

void http_client::send(text_request const& message) {
    require_success(run([&](auto done) { http::async_write(stream_, message, std::move(done)); }));
}

void http_client::send_raw(std::string_view bytes) {
    boost::asio::const_buffer const buffer(bytes.data(), bytes.size());
    require_success(run([&](auto done) { boost::asio::async_write(stream_, buffer, std::move(done)); }));
}

void http_client::end_sending() { stream_.socket().shutdown(tcp::socket::shutdown_send); }

text_response http_client::receive() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::uint64_t{1} << 30);
    require_success(run([&](auto done) { http::async_read(stream_, buffer_, parser, std::move(done)); }));
    return parser.release();
}

text_response http_client::receive_head() {
    http::response_parser<http::string_body> parser;
    parser.skip(true);
    require_success(run([&](auto done) { http::async_read(stream_, buffer_, parser, std::move(done)); }));
    return parser.release();
}

std::optional<text_response> http_client::receive_or_closed() {
    text_response message;
    auto const error = run([&](auto done) { http::async_read(stream_, buffer_, message, std::move(done)); });
    if (!error) return message;
    bool const closed = error == http::error::end_of_stream || error == boost::asio::error::connection_reset ||
                        error == boost::asio::error::broken_pipe;
    if (!closed) throw boost::system::system_error(error);
    return std::nullopt;
}

bool http_client::is_closed() {
    if (buffer_.size() > 0) return false;
    std::array<char, 1> byte{};
    auto const error = run([&](auto done) { stream_.async_read_some(boost::asio::buffer(byte), std::move(done)); });
    return error == boost::asio::error::eof || error == boost::asio::error::connection_reset;
}

void http_client::reset() {
    stream_.socket().set_option(boost::asio::socket_base::linger(true, 0));
    stream_.close();
}

}  // namespace idempo::tests
