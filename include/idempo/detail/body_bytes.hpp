// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/vector_body.hpp>

#include <cstddef>
#include <string>
#include <string_view>

/// \file
/// The bytes of a message body in memory, without copying them: for the record of a response and for the fingerprint of
/// a request.

namespace idempo::detail {

namespace http = boost::beast::http;

/// How to read a body's `value_type`. Listed body by body: a `value_type` that looks like a string need not be sent as
/// it is by its writer.
template <class Body>
struct body_access;

struct contiguous_body_access {
    template <class Value, class Visit>
    static void visit(Value const& value, Visit&& visit) {
        if (value.size() != 0)
            visit(std::string_view(reinterpret_cast<char const*>(value.data()), value.size() * sizeof(*value.data())));
    }
};

template <class Char, class Traits, class Allocator>
struct body_access<http::basic_string_body<Char, Traits, Allocator>> : contiguous_body_access {};

template <class Byte, class Allocator>
struct body_access<http::vector_body<Byte, Allocator>> : contiguous_body_access {};

template <class Element>
struct body_access<http::span_body<Element>> : contiguous_body_access {};

template <class DynamicBuffer>
struct body_access<http::basic_dynamic_body<DynamicBuffer>> {
    template <class Visit>
    static void visit(DynamicBuffer const& value, Visit&& visit) {
        auto const pieces = value.data();
        auto const end = boost::asio::buffer_sequence_end(pieces);
        for (auto it = boost::asio::buffer_sequence_begin(pieces); it != end; ++it) {
            boost::asio::const_buffer const piece = *it;
            if (piece.size() != 0) visit(std::string_view(static_cast<char const*>(piece.data()), piece.size()));
        }
    }
};

template <>
struct body_access<http::empty_body> {
    template <class Visit>
    static void visit(http::empty_body::value_type const&, Visit&&) {}
};

/// A body whose bytes are all in memory: string, vector, span, dynamic (multi_buffer, flat_buffer, ...) and empty.
template <class Body>
concept in_memory_body = requires { sizeof(body_access<Body>); };

/// Calls `visit(std::string_view)` for each contiguous piece of the body that is not empty, in order.
/// The pieces are valid while the message lives unchanged.
template <bool is_request, in_memory_body Body, class Fields, class Visit>
void visit_body(http::message<is_request, Body, Fields> const& message, Visit&& visit) {
    body_access<Body>::visit(message.body(), visit);
}

/// The number of bytes in the body.
template <bool is_request, in_memory_body Body, class Fields>
[[nodiscard]] std::size_t body_size(http::message<is_request, Body, Fields> const& message) {
    std::size_t size = 0;
    visit_body(message, [&size](std::string_view piece) { size += piece.size(); });
    return size;
}

/// The body in one piece: a view into the message where it is so already, else into `joined`.
template <bool is_request, in_memory_body Body, class Fields>
[[nodiscard]] std::string_view contiguous_body(http::message<is_request, Body, Fields> const& message,
                                               std::string& joined) {
    std::string_view only;
    std::size_t pieces = 0;
    visit_body(message, [&only, &pieces](std::string_view piece) {
        only = piece;
        ++pieces;
    });
    if (pieces <= 1) return only;
    joined.reserve(body_size(message));
    visit_body(message, [&joined](std::string_view piece) { joined.append(piece); });
    return joined;
}

}  // namespace idempo::detail
