// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/body_bytes.hpp>
#include <idempo/error.hpp>
#include <idempo/record/record_writer.hpp>
#include <idempo/shared_bytes.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// Capture and replay: which parts of a response are kept, stripped or recomputed, and the format of a record.
///
/// A record travels between machines, so its bytes are fixed. Numbers are little-endian, text has no terminator.
///
/// | offset | bytes | what |
/// |---|---|---|
/// | 0 | 1 | version: 1. It stays here in every version |
/// | 1 | 1 | kind: 0 response, 1 tombstone |
/// | 2 | 2 | status |
/// | 4 | 2 | length of the reason |
/// | 6 | 2 | number of fields |
/// | 8 | 4 | length of the body |
/// | 12 | | the reason |
/// | | 2, 2, … | for each field, in order: length of its name, length of its value, the name, the value |
/// | | | the body |
/// | last 8 | 8 | checksum of all before it (`record_checksum` in stored_response.cpp) |
///
/// A tombstone has neither reason nor fields nor body: 20 bytes.
///
/// With `options::keep_traceparent` a record has the `traceparent` of its request: a response as its last field, with
/// the name `Idempo-Traceparent`, which a version that does not know it sends on with a replay; a tombstone, then of
/// kind 2, as its body, 75 bytes, which such a version cannot read.
///
/// Status, reason, body and fields are kept, except those of one connection or one moment: `Connection` and
/// everything it names, `Keep-Alive`, `Proxy-*`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade` (RFC 9110, section
/// 7.6.1), `Content-Length`, `Date`, `Age`, and, unless asked for, `Set-Cookie`.

namespace idempo {

namespace http = boost::beast::http;

/// Which parts of a response are kept.
struct capture_policy {
    /// Bytes; a response with a larger body is not storable.
    std::size_t max_body = std::size_t{1} << 20;
    /// Cookies are for the client of the first response, so they are dropped by default.
    bool store_set_cookie = false;
    /// A valid W3C `traceparent` to keep with the record; else empty.
    std::string_view traceparent{};
};

/// The record of a response, ready for a store. One allocation (two with more than 16 fields or with a large
/// `Connection`), and the body is copied once.
/// Empty when the response is not storable: a status outside 200..599 (so also 101), a body over the limit, a field or
/// a reason that RFC 9110 does not allow (CR, LF, NUL, ...), or something too long for the format.
template <class Body, class Fields>
    requires detail::in_memory_body<Body>
[[nodiscard]] std::optional<shared_bytes> make_record(http::response<Body, Fields> const& response,
                                                      capture_policy const& policy) {
    std::string_view const reason = response.reason();
    detail::record_writer writer(response.result_int(), reason);
    for (auto const& field : response.base()) writer.add(field.name(), field.name_string(), field.value());
    return writer.write(policy, detail::body_size(response),
                        [&response](auto&& append) { detail::visit_body(response, append); });
}

/// The record of a response that was not kept, with its status. At most `small_record_bytes` bytes without a trace.
/// `status` may be any that Beast can send, 0 to 999; a larger one is stored as 999.
/// \param traceparent a valid one, or empty
[[nodiscard]] shared_bytes make_tombstone(unsigned status, std::string_view traceparent = {});

/// A name and its value, as views into a record.
struct stored_field {
    std::string_view name;
    std::string_view value;
};

/// The fields of a record in order: a forward range of `stored_field`. Valid as long as the record is.
class stored_fields {
public:
    class iterator {
    public:
        using value_type = stored_field;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::forward_iterator_tag;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        [[nodiscard]] stored_field operator*() const noexcept;
        iterator& operator++() noexcept;
        iterator operator++(int) noexcept {
            auto const before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(iterator const&, iterator const&) = default;

    private:
        friend class stored_fields;
        explicit iterator(char const* at) noexcept : at_(at) {}
        char const* at_ = nullptr;
    };

    stored_fields() = default;
    [[nodiscard]] iterator begin() const noexcept { return iterator(encoded_.data()); }
    [[nodiscard]] iterator end() const noexcept { return iterator(encoded_.data() + encoded_.size()); }

private:
    friend class stored_response;
    explicit stored_fields(std::string_view encoded) noexcept : encoded_(encoded) {}
    std::string_view encoded_;
};

/// A checked and readable record. Keeps the record's bytes alive; all views are into them and valid while this object
/// or a copy of it lives. Nothing here allocates.
class stored_response {
public:
    /// Not a response; status 0. What `decode` returns with an error.
    stored_response() = default;

    /// Reads a record of this version. Checks the checksum, every length, the status, that names are tokens and that
    /// values and reason hold no control character but HTAB (RFC 9110, sections 5.1, 5.5), and that no field is one of
    /// a connection (section 7.6.1), so that what comes out can be sent: a store that was tampered with can neither
    /// split a response in two nor close or upgrade the connection of another request. `ec` becomes
    /// `error::record_unreadable` if anything is wrong, and is cleared otherwise.
    [[nodiscard]] static stored_response decode(shared_bytes record, error_code& ec);

    /// False for a tombstone: only `status()` is known.
    [[nodiscard]] bool retained() const noexcept { return retained_; }
    /// Of the original response; 200 to 599 when retained.
    [[nodiscard]] unsigned status() const noexcept { return status_; }
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    [[nodiscard]] stored_fields fields() const noexcept { return stored_fields(fields_); }
    [[nodiscard]] std::string_view body() const noexcept { return body_; }
    /// The `traceparent` that was kept with it, of a tombstone, too; empty where there is none.
    [[nodiscard]] std::string_view traceparent() const noexcept { return traceparent_; }

    /// The value of the first field with that name, in any case; empty if there is none.
    [[nodiscard]] std::string_view field(std::string_view name) const noexcept;

private:
    bool decode_version_1() noexcept;

    shared_bytes record_;
    std::string_view reason_;
    std::string_view fields_;
    std::string_view body_;
    std::string_view traceparent_;
    unsigned status_ = 0;
    bool retained_ = false;
};

/// The response to send again: status, reason, fields in order with repeats, body. The answered request decides the
/// framing: `version` (10 or 11), `keep_alive`, and a `Content-Length` whatever the first response used; 204 and 304
/// have neither length nor body (RFC 9110, section 6.4.1).
/// The marker replaces a stored field of its name; an empty name means no marker.
/// \pre `stored.retained()`.
[[nodiscard]] http::response<http::string_body> make_replay(stored_response const& stored, unsigned version,
                                                            bool keep_alive, std::string_view marker_name,
                                                            std::string_view marker_value);

}  // namespace idempo
