// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/container/small_vector.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace idempo::detail {

namespace http = boost::beast::http;

/// The response as a generator of the same bytes. Where its body is a string, a third of the buffers that Beast's own
/// would take.
[[nodiscard]] http::message_generator to_generator(http::response<http::string_body> response);

template <class Body, class Fields>
[[nodiscard]] http::message_generator to_generator(http::response<Body, Fields> response) {
    return http::message_generator(std::move(response));
}

[[nodiscard]] inline http::message_generator to_generator(http::message_generator message) { return message; }

/// Fields that a layer gives to whatever response passes through it, also to one that only its generator knows.
class response_fields {
public:
    /// Instead of what the response has under that name. \param name a literal, here and below
    void set(std::string_view name, std::string value) { lines_.push_back({name, std::move(value), true}); }

    /// Beside what the response has under that name: for fields that are lists.
    void add(std::string_view name, std::string value) { lines_.push_back({name, std::move(value), false}); }

    /// The response loses what it has under that name.
    void drop(std::string_view name) { lines_.push_back({name, {}, true, true}); }

    /// The connection ends with the response (RFC 9112, section 9.6).
    void close() {
        set("Connection", "close");
        closes_ = true;
    }

    [[nodiscard]] bool empty() const noexcept { return lines_.empty(); }

    template <class Body, class Fields>
    void apply_to(http::response<Body, Fields>& response) const {
        for (auto const& given : lines_) {
            if (given.drops) {
                response.erase(given.name);
            } else if (given.replaces) {
                response.set(given.name, given.value);
            } else {
                response.insert(given.name, given.value);
            }
        }
    }

    /// The same response with the fields. Its head is copied, its body is not. What is no response, or has a head of
    /// more than 64 KiB, stays as it is.
    [[nodiscard]] http::message_generator applied_to(http::message_generator response) const;

    /// The same, where the fields decide about the connection. \param keep_alive what `keep_alive()` of the result says
    [[nodiscard]] http::message_generator applied_to(http::message_generator response, bool keep_alive) const;

    /// The same for the text of a head, which ends with its empty line.
    void rewrite(std::string& head) const;

private:
    struct line {
        std::string_view name;
        std::string value;
        bool replaces;
        bool drops = false;
    };

    [[nodiscard]] bool replaces(std::string_view head_line) const;

    boost::container::small_vector<line, 8> lines_;
    bool closes_ = false;
};

}  // namespace idempo::detail
