// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/captured_generator.hpp>
#include <idempo/record/stored_response.hpp>

#include <idempo/record/raw_response.hpp>
#include <idempo/record/response_fields.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/string_type.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/version.hpp>
#include <boost/optional/optional.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

namespace idempo::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// Notes where in the drained bytes the parts of the response are, without copying any.
class captured_generator::response_reader final : public http::basic_parser<false> {
public:
    response_reader(captured_generator& target, std::string_view dropped) : target_(target), dropped_(dropped) {
        eager(true);
        body_limit(boost::none);
        header_limit(std::numeric_limits<std::uint32_t>::max());
    }

    /// A field had a line break in its value.
    [[nodiscard]] bool has_folded_field() const noexcept { return has_folded_field_; }

private:
    using text = beast::string_view;

    void on_request_impl(http::verb, text, text, int, error_code&) override {}

    void on_response_impl(int status, text reason, int, error_code&) override {
        target_.status_ = static_cast<unsigned>(status);
        target_.head_ = record_writer(*target_.status_, reason);
    }

    void on_field_impl(http::field id, text name, text value, error_code&) override {
        if (head_is_read_) return;  // a trailer
        if (!dropped_.empty() && beast::iequals(name, dropped_)) {
            target_.dropped_.emplace(dropped_);
            return;
        }
        // The parser joins the lines of such a value in a buffer of its own, which does not last.
        if (is_drained(value))
            target_.head_.add(id, name, value);
        else
            has_folded_field_ = true;
    }

#if BOOST_BEAST_VERSION >= 359
    void on_trailer_field_impl(http::field, text, text, error_code&) override {}
#endif

    void on_header_impl(error_code&) override { head_is_read_ = true; }

    void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}

    std::size_t on_body_impl(text piece, error_code&) override {
        target_.body_.push_back(piece);
        return piece.size();
    }

    void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}

    std::size_t on_chunk_body_impl(std::uint64_t, text piece, error_code& ec) override {
        return on_body_impl(piece, ec);
    }

    void on_finish_impl(error_code&) override {}

    [[nodiscard]] bool is_drained(text value) const {
        auto const& drained = target_.drained_;
        std::less_equal<> const not_after;
        return not_after(drained.data(), value.data()) && not_after(value.data(), drained.data() + drained.size());
    }

    captured_generator& target_;
    std::string_view dropped_;
    bool head_is_read_ = false;
    bool has_folded_field_ = false;
};

captured_generator::captured_generator(http::message_generator source, std::size_t max_body, std::string_view dropped)
    : keep_alive_(source.keep_alive()) {
    drain(std::move(source), max_body + std::min(head_allowance, std::numeric_limits<std::size_t>::max() - max_body));
    try {
        read(dropped);
    } catch (...) {  // out of memory: the client still gets the bytes
        storable_ = false;
    }
}

void captured_generator::drain(http::message_generator source, std::size_t limit) {
    try {
        while (drain_some(source, limit)) {
        }
        if (failure_ || source.is_done()) return;
    } catch (...) {  // the handler has answered: what its generator throws is the sender's affair, where it comes to it
    }
    rest_ = std::move(source);
}

/// False where nothing more is to be drained.
bool captured_generator::drain_some(http::message_generator& source, std::size_t limit) {
    if (source.is_done() || drained_.size() == limit) return false;
    auto const pieces = source.prepare(failure_);
    // A body that ends only now is done without new buffers; those before are still there.
    if (failure_ || source.is_done()) return false;

    auto const before = drained_.size();
    std::size_t const wanted = std::min(beast::buffer_bytes(pieces), limit - before);
    if (drained_.empty()) drained_.reserve(wanted);
    try {
        for (auto it = pieces.begin(); drained_.size() < before + wanted; ++it) {
            auto const* const bytes = static_cast<char const*>(it->data());
            drained_.insert(drained_.end(), bytes, bytes + std::min(it->size(), before + wanted - drained_.size()));
        }
    } catch (...) {  // what is not consumed stays in the generator
        drained_.resize(before);
        throw;
    }
    source.consume(wanted);
    return true;
}

void captured_generator::read(std::string_view dropped) {
    response_reader reader(*this, dropped);
    error_code ec;
    auto unread = asio::buffer(std::as_const(drained_));
    while (!ec && !reader.is_done() && unread.size() != 0) unread += reader.put(unread, ec);
    bool const whole = !rest_ && !failure_;
    // A generator may have sent nothing at all, which the parser may not be told of.
    if (!ec && !reader.is_done() && whole && reader.got_some()) reader.put_eof(ec);
    // What follows a 204 or a 304 is a body that must not be there, and that a replay leaves out.
    bool const may_be_followed = status() == 204 || status() == 304;
    bool const is_one = reader.is_done() && (unread.size() == 0 || may_be_followed);
    storable_ = !ec && is_one && whole && !reader.has_folded_field();
}

std::optional<shared_bytes> captured_generator::record(capture_policy const& policy) const {
    if (!storable_) return std::nullopt;
    std::size_t body_size = 0;
    for (auto const piece : body_) body_size += piece.size();
    return record_writer(head_).write(policy, body_size, [this](auto&& append) {
        for (auto const piece : body_) append(piece);
    });
}

http::message_generator captured_generator::release() && {
    auto whole = make_raw_response({std::move(drained_), std::move(rest_), failure_}, keep_alive_);
    if (!dropped_) return whole;
    response_fields fields;
    fields.drop(*dropped_);
    return fields.applied_to(std::move(whole));
}

}  // namespace idempo::detail
