// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/record/raw_fields.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/optional/optional.hpp>

#include <array>
#include <string>
#include <tuple>
#include <utility>

namespace idempo::detail {

/// A whole message as two buffers, the text of its head and its body, for `message_generator`. Beast would send a
/// buffer for each field, and allocates each field on its own.
/// \tparam Content owns the bytes of the body: `std::string_view bytes() const`
template <class Content>
struct flat_body {
    struct value_type {
        std::string head;
        Content content;
    };

    class writer {
    public:
        using const_buffers_type = std::array<boost::asio::const_buffer, 2>;

        template <bool is_request, class Fields>
        writer(http::header<is_request, Fields>&, value_type const& body) : body_(body) {}

        void init(error_code& ec) { ec.clear(); }

        boost::optional<std::pair<const_buffers_type, bool>> get(error_code& ec) {
            ec.clear();
            constexpr bool has_more = false;
            return std::pair(
                const_buffers_type{boost::asio::buffer(body_.head), boost::asio::buffer(body_.content.bytes())},
                has_more);
        }

    private:
        value_type const& body_;
    };
};

/// \param head ends with its empty line
/// \param keep_alive what `keep_alive()` of the generator says
template <class Content>
[[nodiscard]] http::message_generator make_flat_message(std::string head, Content content, bool keep_alive) {
    using body = flat_body<Content>;
    return http::response<body, raw_fields>(
        std::piecewise_construct, std::forward_as_tuple(typename body::value_type{std::move(head), std::move(content)}),
        std::forward_as_tuple(keep_alive));
}

}  // namespace idempo::detail
