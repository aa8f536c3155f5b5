// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/http/read_error.hpp>
#include <idempo/http/request_reader.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

/// \file
/// Reads a request for a server that trusts what a proxy checked in the head.
///
/// Beast before 1.90 merges the trailer of a chunked request into its fields (later versions some of it), so that a key
/// or an `Authorization` can arrive after the proxy has looked, which RFC 9112, section 7.1.2 forbids. And Beast leaves
/// to its caller what RFC 9112 asks of a server before it acts on a head. Here
///
/// - a trailer that names a protected field is `error::trailer_refused`; where Beast discards it, it has no effect;
/// - any other trailer field is removed: the fields of the request are those of its head;
/// - `Transfer-Encoding` in HTTP/1.0, without `chunked` as the last coding, or with parameters, is
///   `error::framing_refused` (RFC 9112, sections 6.1, 6.3 and 7.1). Beast takes some of these for a request without a
///   body, whose body would then be read as the next request;
/// - any other coding before the final `chunked` is `error::coding_unsupported` (section 6.1): 501;
/// - `Host` missing in HTTP/1.1, repeated or malformed is `error::host_refused` (section 3.2);
/// - a target in none of the four forms is `error::target_refused`. The absolute-form, `http://host/path`, is turned
///   into the origin-form, and its authority replaces `Host` (section 3.2.2): handlers and fingerprints see one
///   spelling of one target;
/// - up to four empty lines before the request are skipped (section 2.2).
///
/// Beast 1.81 puts no limit on the size of a trailer or a chunk extension: give the buffer one, with
/// `beast::flat_buffer{max_size}`, larger than the `header_limit`.

namespace idempo {

namespace http = boost::beast::http;
namespace asio = boost::asio;

/// Fields that decide who is asking, for what, with which key, or where the message ends. They are protected always.
[[nodiscard]] std::span<std::string_view const> protected_fields() noexcept;

/// How a request is read.
struct read_options {
    /// Names of further fields that no trailer may name, in any case: the application's own. The array must stay alive
    /// until the read is over; constants do.
    std::span<std::string_view const> also_protected{};
    /// Writes `100 Continue` to a client that waits for it before it sends the body (RFC 9110, section 10.1.1). Leave
    /// it off where another answer may be under way on the stream, as in Beast's advanced servers: Beast allows one
    /// write at a time.
    bool answer_expect = false;
    /// \name For reads into a request. A parser has its own limits
    /// @{
    /// In bytes: `http::error::body_limit`.
    std::uint64_t body_limit = std::uint64_t{1} << 20;
    /// In bytes, of request line and fields: `http::error::header_limit`.
    std::uint32_t header_limit = 8 << 10;
    /// @}
};

namespace detail {

inline constexpr std::string_view interim_response = "HTTP/1.1 100 Continue\r\n\r\n";

template <bool MayWrite, class Stream, class DynamicBuffer, class Body, class Allocator>
std::size_t run_reader(Stream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                       read_options const& options, error_code& ec) {
    request_reader<Body, Allocator> reader(parser, options.also_protected, MayWrite && options.answer_expect);
    while (true) {
        auto const step = reader.advance(buffer, ec);
        if (step == read_step::finished) break;
        if (step == read_step::read_more) {
            auto const free = reader.prepare(buffer, ec);
            if (ec) break;
            auto const size = stream.read_some(free, ec);
            reader.received(buffer, size, ec);
        } else if constexpr (MayWrite) {
            asio::write(stream, asio::buffer(interim_response), ec);
        }
        if (ec) break;
    }
    return reader.size();
}

/// The parser of the caller.
template <class Parser>
class borrowed_parser {
public:
    explicit borrowed_parser(Parser& parser) : parser_(&parser) {}

    [[nodiscard]] Parser& get() const noexcept { return *parser_; }
    void finish() const noexcept {}

private:
    Parser* parser_;
};

/// A parser for the caller's request, which gets back what was read of it, also after an error.
template <class Body, class Allocator>
class owned_parser {
public:
    using request_type = http::request<Body, http::basic_fields<Allocator>>;

    owned_parser(request_type& request, read_options const& options)
        : request_(&request),
          parser_(std::make_unique<http::request_parser<Body, Allocator>>(std::move(request))) {
        (*parser_).get().body() = typename Body::value_type();  // Beast would append to what was there
        parser_->body_limit(options.body_limit);
        parser_->header_limit(options.header_limit);
    }

    [[nodiscard]] http::request_parser<Body, Allocator>& get() const noexcept { return *parser_; }
    void finish() {
        *request_ = parser_->release();
        parser_.reset();
    }

private:
    request_type* request_;
    std::unique_ptr<http::request_parser<Body, Allocator>> parser_;
};

/// `read_request` as a composed operation. Not an `asio::coroutine`: its labels come from `__COUNTER__`, which differs
/// from one translation unit to the next, and an operation may begin in one and go on in the other.
template <bool MayWrite, class Stream, class DynamicBuffer, class Body, class Allocator, class Source>
class read_request_operation {
public:
    read_request_operation(Stream& stream, DynamicBuffer& buffer, Source source, read_options const& options)
        : stream_(stream),
          buffer_(buffer),
          source_(std::move(source)),
          reader_(source_.get(), options.also_protected, MayWrite && options.answer_expect) {}

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t size = 0) {
        if (waits_for_ == wait::turn) return finish(self, result_);
        if (waits_for_ == wait::input) reader_.received(buffer_, size, ec);
        // A cancellation that arrived while nothing was being waited for would otherwise be forgotten.
        bool const is_cancelled = self.cancelled() != asio::cancellation_type::none;
        if (!ec && waits_for_ != wait::nothing && is_cancelled) ec = asio::error::operation_aborted;
        go_on(self, ec);
    }

private:
    template <class Self>
    void go_on(Self& self, error_code ec) {
        auto const step = ec ? read_step::finished : reader_.advance(buffer_, ec);
        if (step == read_step::read_more) {
            auto const free = reader_.prepare(buffer_, ec);
            if (!ec) {
                waits_for_ = wait::input;
                stream_.async_read_some(free, std::move(self));
                return;
            }
        }
        if constexpr (MayWrite) {
            if (step == read_step::write_continue) {
                waits_for_ = wait::output;
                asio::async_write(stream_, asio::buffer(interim_response), std::move(self));
                return;
            }
        }
        if (waits_for_ != wait::nothing) return finish(self, ec);
        result_ = ec;
        waits_for_ = wait::turn;
        asio::post(std::move(self));
    }

    template <class Self>
    void finish(Self& self, error_code ec) {
        auto const size = reader_.size();
        source_.finish();
        self.complete(ec, size);
    }

    Stream& stream_;
    DynamicBuffer& buffer_;
    Source source_;
    request_reader<Body, Allocator> reader_;
    error_code result_;
    enum class wait { nothing, input, output, turn } waits_for_ = wait::nothing;
};

template <bool MayWrite, class Stream, class DynamicBuffer, class Body, class Allocator, class Source, class Token>
auto initiate_reader(Stream& stream, DynamicBuffer& buffer, Source source, read_options const& options, Token&& done) {
    using operation = read_request_operation<MayWrite, Stream, DynamicBuffer, Body, Allocator, Source>;
    return asio::async_compose<Token, void(error_code, std::size_t)>(
        operation(stream, buffer, std::move(source), options), done, stream);
}

template <class Token>
concept read_token = asio::completion_token_for<Token, void(error_code, std::size_t)>;

}  // namespace detail

/// Reads one request into `parser`, as `http::read` does. Bytes after the request are left in `buffer`, for the next.
///
/// \param buffer a Beast `DynamicBuffer`; it may hold bytes read earlier.
/// \param parser a new one, or one whose head has been read, and nothing more. A chunked request that it has already
///     read to the end is `http::error::stale_parser`. After an error `parser.get()` holds what was read of the head.
/// \param ec `http::error::end_of_stream` when the peer closed between requests, `idempo::error` as above, else what
///     the stream or the parser reports. After an error the connection cannot be used for another request;
///     `answer_read_error` says what may still be sent on it, and `answer_and_close` sends it.
/// \returns the number of bytes that were parsed
template <class SyncStream, class DynamicBuffer, class Body, class Allocator>
std::size_t read_request(SyncStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                         read_options const& options, error_code& ec) {
    return detail::run_reader<true>(stream, buffer, parser, options, ec);
}

/// The same for a stream that is only read.
template <class SyncReadStream, class DynamicBuffer, class Body, class Allocator>
std::size_t read_request(SyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                         std::span<std::string_view const> also_protected, error_code& ec) {
    return detail::run_reader<false>(stream, buffer, parser, {.also_protected = also_protected}, ec);
}

template <class SyncReadStream, class DynamicBuffer, class Body, class Allocator>
std::size_t read_request(SyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                         error_code& ec) {
    return detail::run_reader<false>(stream, buffer, parser, {}, ec);
}

/// Reads one request into `request`, with the limits of `options`. After an error it holds what was read of the head,
/// for `answer_read_error`.
template <class SyncStream, class DynamicBuffer, class Body, class Allocator>
std::size_t read_request(SyncStream& stream, DynamicBuffer& buffer,
                         http::request<Body, http::basic_fields<Allocator>>& request, read_options const& options,
                         error_code& ec) {
    detail::owned_parser<Body, Allocator> source(request, options);
    auto const size = detail::run_reader<true>(stream, buffer, source.get(), options, ec);
    source.finish();
    return size;
}

/// The same with the limits that Beast has by default.
template <class SyncReadStream, class DynamicBuffer, class Body, class Allocator>
std::size_t read_request(SyncReadStream& stream, DynamicBuffer& buffer,
                         http::request<Body, http::basic_fields<Allocator>>& request, error_code& ec) {
    detail::owned_parser<Body, Allocator> source(request, {});
    auto const size = detail::run_reader<false>(stream, buffer, source.get(), {}, ec);
    source.finish();
    return size;
}

/// \throws boost::system::system_error instead of an `error_code`
template <class SyncReadStream, class DynamicBuffer, class ParserOrRequest>
std::size_t read_request(SyncReadStream& stream, DynamicBuffer& buffer, ParserOrRequest& into) {
    error_code ec;
    auto const size = idempo::read_request(stream, buffer, into, ec);
    if (ec) throw boost::system::system_error(ec);
    return size;
}

/// `read_request` without blocking; completes with `void(error_code, std::size_t)`, as if by post where nothing had to
/// be read.
///
/// `stream`, `buffer`, and `parser` must stay alive until the handler is called. Terminal cancellation ends it with
/// `asio::error::operation_aborted`, as it does Beast's own reads.
template <class AsyncStream, class DynamicBuffer, class Body, class Allocator,
          detail::read_token Token = asio::default_completion_token_t<boost::beast::executor_type<AsyncStream>>>
auto async_read_request(AsyncStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                        read_options const& options, Token&& done = {}) {
    return detail::initiate_reader<true, AsyncStream, DynamicBuffer, Body, Allocator>(
        stream, buffer, detail::borrowed_parser(parser), options, std::forward<Token>(done));
}

/// The same for a stream that is only read. The names and the array that holds them must stay alive, too.
template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator,
          detail::read_token Token = asio::default_completion_token_t<boost::beast::executor_type<AsyncReadStream>>>
auto async_read_request(AsyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                        std::span<std::string_view const> also_protected, Token&& done = {}) {
    return detail::initiate_reader<false, AsyncReadStream, DynamicBuffer, Body, Allocator>(
        stream, buffer, detail::borrowed_parser(parser), read_options{.also_protected = also_protected},
        std::forward<Token>(done));
}

template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator,
          detail::read_token Token = asio::default_completion_token_t<boost::beast::executor_type<AsyncReadStream>>>
auto async_read_request(AsyncReadStream& stream, DynamicBuffer& buffer, http::request_parser<Body, Allocator>& parser,
                        Token&& done = {}) {
    return detail::initiate_reader<false, AsyncReadStream, DynamicBuffer, Body, Allocator>(
        stream, buffer, detail::borrowed_parser(parser), read_options(), std::forward<Token>(done));
}

/// The same into a request, which must stay alive until the handler is called, and is not to be looked at before.
template <class AsyncStream, class DynamicBuffer, class Body, class Allocator,
          detail::read_token Token = asio::default_completion_token_t<boost::beast::executor_type<AsyncStream>>>
auto async_read_request(AsyncStream& stream, DynamicBuffer& buffer,
                        http::request<Body, http::basic_fields<Allocator>>& request, read_options const& options,
                        Token&& done = {}) {
    return detail::initiate_reader<true, AsyncStream, DynamicBuffer, Body, Allocator>(
        stream, buffer, detail::owned_parser<Body, Allocator>(request, options), options, std::forward<Token>(done));
}

template <class AsyncReadStream, class DynamicBuffer, class Body, class Allocator,
          detail::read_token Token = asio::default_completion_token_t<boost::beast::executor_type<AsyncReadStream>>>
auto async_read_request(AsyncReadStream& stream, DynamicBuffer& buffer,
                        http::request<Body, http::basic_fields<Allocator>>& request, Token&& done = {}) {
    read_options const options;
    return detail::initiate_reader<false, AsyncReadStream, DynamicBuffer, Body, Allocator>(
        stream, buffer, detail::owned_parser<Body, Allocator>(request, options), options, std::forward<Token>(done));
}

}  // namespace idempo
