// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/record/raw_fields.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/none.hpp>
#include <boost/optional/optional.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

/// \file
/// A `message_generator` of the bytes of a whole message. Beast makes generators only of messages, so this is a message
/// whose header serialises to nothing and whose body is all the bytes.

namespace idempo::detail {

namespace http = boost::beast::http;

/// The bytes of a whole message: those drained from a generator, then those left in it, or its error.
struct raw_body {
    struct value_type {
        std::vector<char> drained;
        std::optional<http::message_generator> rest;
        error_code failure;
    };

    class writer {
    public:
        using const_buffers_type = http::message_generator::const_buffers_type;
        using result = boost::optional<std::pair<const_buffers_type, bool>>;

        template <bool is_request, class Fields>
        writer(http::header<is_request, Fields>&, value_type& body)
            : body_(body),
              together_{boost::asio::buffer(std::as_const(body.drained))} {}

        void init(error_code& ec) { ec.clear(); }

        /// Called when everything that the previous call returned has been written.
        result get(error_code& ec) {
            ec.clear();
            if (!std::exchange(drained_is_written_, true)) return first();
            ec = body_.failure;
            if (ec) return boost::none;
            return body_.rest ? next(*body_.rest, ec) : end();
        }

    private:
        /// The drained bytes, and with them what is ready behind them: a small write after another waits for the peer's
        /// acknowledgement, which most peers delay by 40 ms (Nagle's algorithm).
        result first() {
            std::size_t buffers = 1;
            if (body_.rest && !body_.failure) {
                // An error comes after the drained bytes.
                if (auto const ready = next(*body_.rest, body_.failure)) {
                    const_buffers_type const pieces(ready->first.data(), std::min(ready->first.size(), max_pieces));
                    std::copy(pieces.begin(), pieces.end(), together_.begin() + 1);
                    buffers += pieces.size();
                    if (prepared_) prepared_ = boost::beast::buffer_bytes(pieces);
                }
            }
            return result({const_buffers_type(together_.data(), buffers), body_.rest || body_.failure});
        }

        result next(http::message_generator& rest, error_code& ec) {
            // Exactly the prepared bytes must be consumed, even if there are none.
            if (prepared_) rest.consume(*prepared_);
            prepared_.reset();
            if (rest.is_done()) return end();
            auto const pieces = rest.prepare(ec);
            if (ec) return boost::none;
            // A body that ends only now has no new buffers; the previous ones are still there.
            if (rest.is_done()) return end();
            prepared_ = boost::beast::buffer_bytes(pieces);
            return result({pieces, true});
        }

        /// Not boost::none, after which the outer generator would return the previous buffers again.
        static result end() { return result({const_buffers_type(), false}); }

        value_type& body_;
        static constexpr std::size_t max_pieces = 12;  // of a message_generator
        std::array<boost::asio::const_buffer, 1 + max_pieces> together_;
        bool drained_is_written_ = false;
        std::optional<std::size_t> prepared_;
    };
};

inline http::message_generator make_raw_response(raw_body::value_type body, bool keep_alive) {
    return http::response<raw_body, raw_fields>(std::piecewise_construct, std::forward_as_tuple(std::move(body)),
                                                std::forward_as_tuple(keep_alive));
}

}  // namespace idempo::detail
