// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/handler.hpp>
#include <idempo/record/captured_generator.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/shared_bytes.hpp>

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/type_traits.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

/// \file
/// What the handler answered, held until it is stored.

namespace idempo::detail {

/// A body that is written piece by piece, from a file for instance. Not `buffer_body`: the caller has to feed that one.
template <class Body>
concept streamed_body =
    http::is_body_writer<Body>::value && !in_memory_body<Body> && !std::same_as<Body, http::buffer_body>;

template <class Response>
class captured_response {
    static_assert(!sizeof(Response),
                  "idempo: a handler has to return an http::message_generator or an http::response<Body> whose body "
                  "can be sent by itself (string_body, dynamic_body, file_body, ...; not buffer_body).");
};

/// All in memory: the response is held as it is, and the record is made from it.
template <in_memory_body Body, class Fields>
class captured_response<http::response<Body, Fields>> {
public:
    using response_type = http::response<Body, Fields>;

    /// `max_body` matters to responses that have to be drained; the policy's limit decides in `record`.
    /// \param dropped a field that the response loses; empty: none
    explicit captured_response(response_type response, std::size_t /*max_body*/, std::string_view dropped = {})
        : response_(std::move(response)) {
        if (!dropped.empty()) response_.erase(dropped);
    }

    /// Always known here.
    [[nodiscard]] std::optional<unsigned> status() const noexcept { return response_.result_int(); }

    /// As `make_record`.
    [[nodiscard]] std::optional<shared_bytes> record(capture_policy const& policy) const {
        return make_record(response_, policy);
    }

    /// The handler's response, untouched.
    [[nodiscard]] response_type release() && { return std::move(response_); }

private:
    response_type response_;
};

template <>
class captured_response<http::message_generator> : public captured_generator {
public:
    using response_type = http::message_generator;
    using captured_generator::captured_generator;
};

/// Such a body can be read once only, so the response becomes a generator, and `release` returns one.
template <streamed_body Body, class Fields>
class captured_response<http::response<Body, Fields>> : public captured_response<http::message_generator> {
public:
    explicit captured_response(http::response<Body, Fields> response, std::size_t max_body,
                               std::string_view dropped = {})
        : captured_response(response.result_int(), std::move(response), max_body, dropped) {}

    [[nodiscard]] std::optional<unsigned> status() const noexcept { return status_; }

private:
    captured_response(unsigned status, http::response<Body, Fields>&& response, std::size_t max_body,
                      std::string_view dropped)
        : captured_response<http::message_generator>(http::message_generator(std::move(response)), max_body, dropped),
          status_(status) {}

    /// Known also where the body could not be read.
    unsigned status_;
};

/// Whichever of the two it is.
template <>
class captured_response<completed_reply> {
    using in_memory = captured_response<http::response<http::string_body>>;
    using generator = captured_response<http::message_generator>;
    using either = std::variant<in_memory, generator>;

public:
    explicit captured_response(completed_reply completed, std::size_t max_body, std::string_view dropped = {})
        : captured_(std::visit(
              [&](auto&& reply) {
                  using reply_type = std::remove_cvref_t<decltype(reply)>;
                  return either(captured_response<reply_type>(std::forward<decltype(reply)>(reply), max_body, dropped));
              },
              std::move(completed.reply))) {}

    [[nodiscard]] std::optional<unsigned> status() const noexcept {
        return std::visit([](auto const& captured) { return captured.status(); }, captured_);
    }

    [[nodiscard]] std::optional<shared_bytes> record(capture_policy const& policy) const {
        return std::visit([&](auto const& captured) { return captured.record(policy); }, captured_);
    }

    [[nodiscard]] completed_reply release() && {
        return std::visit(
            [](auto&& captured) { return completed_reply{std::forward<decltype(captured)>(captured).release()}; },
            std::move(captured_));
    }

private:
    either captured_;
};

}  // namespace idempo::detail
