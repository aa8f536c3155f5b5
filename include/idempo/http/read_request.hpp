#pragma once

#include <idempo/error.hpp>
#include <idempo/http/trailer_guard.hpp>

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

/// \file
/// Reads a request for a server that trusts what a proxy checked in the head.
///
/// Beast before 1.90 merges the trailer of a chunked request into its fields (later versions some of it), so that a key
/// or an `Authorization` can arrive after the proxy has looked, which RFC 9112, section 7.1.2 forbids. Here
///
/// - a trailer that names a protected field is `error::trailer_refused`; where Beast discards it, it has no effect;
/// - any other trailer field is removed: the fields of the request are those of its head;
/// - `Transfer-Encoding` in HTTP/1.0, or without `chunked` as the last coding, is `error::framing_refused`
///   (RFC 9112, sections 6.1 and 6.3). Beast takes the latter for a request without a body, whose body would then be
///   read as the next request.
///
/// Beast 1.81 puts no limit on the size of a trailer or a chunk extension: give the buffer one, with
/// `beast::flat_buffer{max_size}`, larger than the parser's `header_limit`.

namespace idempo {

namespace http = boost::beast::http;
namespace asio = boost::asio;

/// Fields that decide who is asking, for what, with which key, or where the message ends. They are protected always.
[[nodiscard]] std::span<std::string_view const> protected_fields() noexcept;

/// Reads one request into `parser`, as `http::read` does. Bytes after the request are left in `buffer`, for the next.
///
/// \param buffer a Beast `DynamicBuffer`; it may hold bytes read earlier.
/// \param parser a new one, or one whose head has been read, to answer `Expect: 100-continue` say, and nothing more.
///     A chunked request that it has already read to the end is `http::error::stale_parser`.
/// \param also_protected names of further fields that no trailer may name, in any case: the application's own.
/// \param ec `http::error::end_of_stream` when the peer closed between requests, `idempo::error` as above, else what
///     the stream or the parser reports. After an error the connection cannot be used for another request;
///     `answer_read_error` says what may still be sent on it.
template <class SyncReadStream, class DynamicBuffer, class Body, class Allocator>
void read_request(SyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                  std::span<std::string_view const> also_protected, error_code& ec) {
    http::read_header(stream, buffer, parser, ec);
    if (!ec) ec = detail::check_framing(parser);
    if (ec) return;
    detail::trailer_guard guard(parser);
    http::read(stream, buffer, parser, ec);
    if (!ec) ec = guard.remove_trailer(parser.get(), also_protected);
}

/// The same without further protected fields.
template <class SyncReadStream, class DynamicBuffer, class Body, class Allocator>
void read_request(SyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                  error_code& ec) {
    idempo::read_request(stream, buffer, parser, {}, ec);
}

namespace detail {

/// `read_request` as a composed operation. Not an `asio::coroutine`: its labels come from `__COUNTER__`, which differs
/// from one translation unit to the next, and an operation may begin in one and go on in the other.
template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator>
class read_request_operation {
public:
    read_request_operation(AsyncReadStream& stream, DynamicBuffer& buffer,
                           http::request_parser<Body, Allocator>& parser,
                           std::span<std::string_view const> also_protected)
        : stream_(stream),
          buffer_(buffer),
          parser_(parser),
          also_protected_(also_protected) {}

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t = 0) {
        switch (std::exchange(next_, next_ == step::read_head ? step::read_body : step::finish)) {
        case step::read_head: http::async_read_header(stream_, buffer_, parser_, std::move(self)); return;
        case step::read_body:
            if (!ec) ec = check_framing(parser_);
            // A cancellation that arrived while nothing was being waited for would otherwise be forgotten.
            if (!ec && self.cancelled() != asio::cancellation_type::none) ec = asio::error::operation_aborted;
            if (ec) break;
            guard_ = trailer_guard(parser_);
            http::async_read(stream_, buffer_, parser_, std::move(self));
            return;
        case step::finish:
            if (!ec) ec = guard_.remove_trailer(parser_.get(), also_protected_);
            guard_ = {};  // memory is given back before the handler runs
            break;
        }
        self.complete(ec);
    }

private:
    AsyncReadStream& stream_;
    DynamicBuffer& buffer_;
    http::request_parser<Body, Allocator>& parser_;
    std::span<std::string_view const> also_protected_;
    trailer_guard guard_;
    enum class step { read_head, read_body, finish } next_ = step::read_head;
};

}  // namespace detail

/// `read_request` without blocking; completes with `void(error_code)`, as if by post where nothing had to be read.
///
/// `stream`, `buffer`, `parser`, and the names in `also_protected` with the array that holds them must stay alive until
/// the handler is called; constants do. Terminal cancellation ends it with `asio::error::operation_aborted`, as it does
/// Beast's own reads.
template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator, class CompletionToken>
auto async_read_request(AsyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                        std::span<std::string_view const> also_protected, CompletionToken&& completion_token) {
    return asio::async_compose<CompletionToken, void(error_code)>(
        detail::read_request_operation<AsyncReadStream, DynamicBuffer, Body, Allocator>(stream, buffer, parser,
                                                                                        also_protected),
        completion_token, stream);
}

/// The same without further protected fields.
template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator, class CompletionToken>
auto async_read_request(AsyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                        CompletionToken&& completion_token) {
    return idempo::async_read_request(stream, buffer, parser, std::span<std::string_view const>(),
                                      std::forward<CompletionToken>(completion_token));
}

/// What to send after `read_request` failed, before closing the connection: a problem document (RFC 9457), 400 for a
/// request that is not HTTP or that is refused, 413 for `body_limit`, 431 for `header_limit` and a full buffer.
/// No response if the peer closed or stopped in the middle, a deadline expired, or the error was ours.
///
/// \param version of the response; the request's, or 11 where that is not known.
[[nodiscard]] std::optional<http::response<http::string_body>> answer_read_error(error_code ec, unsigned version = 11);

}  // namespace idempo
