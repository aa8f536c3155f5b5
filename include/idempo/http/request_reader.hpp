// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/http/head_checks.hpp>
#include <idempo/http/trailer_guard.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/core/buffers_prefix.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/parser.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace idempo::detail {

namespace http = boost::beast::http;

/// What the runner of a `request_reader` does next.
enum class read_step { read_more, write_continue, finished };

/// Reads one request out of a buffer: everything of `read_request` but the input and output.
template <class Body, class Allocator>
class request_reader {
public:
    using parser_type = http::request_parser<Body, Allocator>;

    /// \param answer_expect whether the runner can write an interim response
    request_reader(parser_type& parser, std::span<std::string_view const> also_protected, bool answer_expect)
        : parser_(&parser),
          also_protected_(also_protected),
          answer_expect_(answer_expect),
          stage_(parser.is_header_done() ? stage::check_head : stage::before) {}

    /// Takes what the buffer holds. `finished` with an error is the end, too.
    template <class DynamicBuffer>
    [[nodiscard]] read_step advance(DynamicBuffer& buffer, error_code& ec) {
        ec = {};
        if (stage_ == stage::before && !skip_empty_lines(buffer)) return read_step::read_more;
        if (stage_ == stage::head && !read_head(buffer, ec)) return ec ? finish() : read_step::read_more;
        if (stage_ == stage::check_head) {
            ec = check_head();
            if (ec) return finish();
            guard_ = trailer_guard(*parser_);
            stage_ = stage::body;
            if (is_awaited(buffer.size())) return read_step::write_continue;
        }
        if (stage_ == stage::body && !read_body(buffer, ec)) return ec ? finish() : read_step::read_more;
        return finish();
    }

    /// Where the runner reads to; `http::error::buffer_overflow` where the buffer is full.
    template <class DynamicBuffer>
    [[nodiscard]] auto prepare(DynamicBuffer& buffer, error_code& ec) {
        constexpr std::size_t most = 65536;
        auto const size = boost::beast::read_size(buffer, most);
        ec = {};
        if (size == 0) {
            ec = http::error::buffer_overflow;
            keep_partial_head(buffer);
        }
        return buffer.prepare(size);
    }

    /// Takes what the stream gave, or the error by which it ended.
    template <class DynamicBuffer>
    void received(DynamicBuffer& buffer, std::size_t size, error_code& ec) {
        buffer.commit(size);
        if (ec != boost::asio::error::eof) return;
        ec = {};
        if (!parser_->got_some()) {
            ec = http::error::end_of_stream;
            return;
        }
        parser_->put_eof(ec);
        if (!ec) ec = http::error::partial_message;
    }

    /// The size of what was parsed.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    enum class stage { before, head, check_head, body, end };
    enum class input { used, missing };

    /// Empty lines before a request are ignored (RFC 9112, section 2.2), a few of them. False where more has to be
    /// read to tell.
    template <class DynamicBuffer>
    bool skip_empty_lines(DynamicBuffer& buffer) {
        constexpr std::size_t line_size = 2;
        while (empty_lines_ < max_empty_lines) {
            char start[line_size] = {};
            auto const got = boost::asio::buffer_copy(boost::asio::buffer(start), buffer.data());
            if (got == 0 || (got == 1 && start[0] == '\r')) return false;
            if (start[0] != '\r' || start[1] != '\n') break;
            buffer.consume(line_size);
            ++empty_lines_;
        }
        stage_ = stage::head;
        return buffer.size() != 0;
    }

    template <class DynamicBuffer>
    bool read_head(DynamicBuffer& buffer, error_code& ec) {
        parser_->eager(false);
        while (!parser_->is_header_done()) {
            if (put(buffer, ec) == input::used) continue;
            if (ec) keep_partial_head(buffer);
            return false;
        }
        stage_ = stage::check_head;
        return true;
    }

    template <class DynamicBuffer>
    bool read_body(DynamicBuffer& buffer, error_code& ec) {
        parser_->eager(true);
        while (!parser_->is_done()) {
            if (put(buffer, ec) != input::used) return false;
        }
        stage_ = stage::end;
        ec = guard_.remove_trailer(parser_->get(), also_protected_);
        return !ec;
    }

    /// `missing` with an error is the end.
    template <class DynamicBuffer>
    input put(DynamicBuffer& buffer, error_code& ec) {
        if (buffer.size() == 0) return input::missing;
        auto const used = parser_->put(buffer.data(), ec);
        buffer.consume(used);
        size_ += used;
        if (!ec) return input::used;
        if (ec == http::error::need_more) ec = {};
        return input::missing;
    }

    [[nodiscard]] error_code check_head() {
        auto& head = parser_->get().base();
        // Read to the end, trailer and all, before anybody looked: what came in the trailer can no longer be told.
        if (parser_->chunked() && parser_->is_done()) return http::error::stale_parser;
        auto ec = check_codings(head, parser_->chunked());
        if (!ec) ec = check_host(head);
        if (!ec) ec = normalise_target(head);
        return ec;
    }

    /// Whether the client holds the body back. Bytes that are here already show that it does not.
    [[nodiscard]] bool is_awaited(std::size_t buffered) const {
        auto const& head = parser_->get();
        bool const may_wait = answer_expect_ && head.version() >= 11 && !parser_->is_done() && buffered == 0;
        return may_wait && names_continue(head[http::field::expect]);
    }

    /// A head beyond the limit was not parsed. What came of it says at least from where it comes, and by which method.
    template <class DynamicBuffer>
    void keep_partial_head(DynamicBuffer const& buffer) {
        constexpr std::size_t most = 65536;
        auto& head = parser_->get().base();
        if (parser_->is_header_done() || !head.target().empty()) return;
        http::request_header<> found;
        read_partial_head(boost::beast::buffers_to_string(boost::beast::buffers_prefix(most, buffer.data())), found);
        if (found.target().empty()) return;
        head.method_string(found.method_string());
        head.target(found.target());
        head.version(found.version());
        for (auto const& line : found) head.insert(line.name_string(), line.value());
    }

    read_step finish() noexcept {
        guard_ = {};  // memory is given back before the handler runs
        return read_step::finished;
    }

    static constexpr unsigned max_empty_lines = 4;

    parser_type* parser_;
    std::span<std::string_view const> also_protected_;
    bool answer_expect_;
    stage stage_;
    unsigned empty_lines_ = 0;
    std::size_t size_ = 0;
    trailer_guard guard_;
};

}  // namespace idempo::detail
