// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/fields.hpp>

namespace idempo::detail {

namespace http = boost::beast::http;

/// An empty header, serialised to nothing.
class raw_fields : public http::fields {
public:
    explicit raw_fields(bool keep_alive) : keep_alive_(keep_alive) {}

    class writer {
    public:
        using const_buffers_type = boost::asio::const_buffer;

        writer(raw_fields const&, unsigned /*version*/, unsigned /*status*/) {}
        [[nodiscard]] const_buffers_type get() const { return {}; }
    };

protected:
    [[nodiscard]] bool get_chunked_impl() const { return false; }
    [[nodiscard]] bool get_keep_alive_impl(unsigned /*version*/) const { return keep_alive_; }

private:
    bool keep_alive_;
};

}  // namespace idempo::detail
