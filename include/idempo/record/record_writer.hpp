// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/shared_bytes.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace idempo {

struct capture_policy;

namespace detail {

inline constexpr std::size_t record_checksum_size = 8;

/// Writes the checksum into the last bytes of a record of `size` bytes.
void seal_record(char* record, std::size_t size);

/// Writes a record (see stored_response.hpp) from views: of a message or of raw bytes, which must outlive it.
class record_writer {
public:
    record_writer(unsigned status, std::string_view reason) noexcept : status_(status), reason_(reason) {}

    [[nodiscard]] unsigned status() const noexcept { return status_; }

    /// The next field. `id` is Beast's number of `name`. Fields that are never stored are dropped here.
    void add(boost::beast::http::field id, std::string_view name, std::string_view value);

    /// The record, or empty if it is not storable. `visit_body(append)` calls `append(std::string_view)` for each
    /// piece of the body, `body_size` bytes together.
    template <class VisitBody>
    [[nodiscard]] std::optional<shared_bytes> write(capture_policy const& policy, std::size_t body_size,
                                                    VisitBody&& visit_body) {
        std::size_t const head_size = prepare(policy, body_size);
        if (head_size == 0) return std::nullopt;
        std::size_t const size = head_size + body_size + record_checksum_size;
        return shared_bytes(size, [&](char* record) {
            char* to = write_head(record, body_size);
            visit_body([&to](std::string_view piece) { to += piece.copy(to, piece.size()); });
            seal_record(record, size);
        });
    }

private:
    struct field {
        boost::beast::http::field id;
        std::string_view name;
        std::string_view value;
    };

    /// Drops the fields that the policy and `Connection` name. Returns the bytes up to the body, or 0 if not storable.
    std::size_t prepare(capture_policy const& policy, std::size_t body_size);
    char* write_head(char* record, std::size_t body_size) const;

    unsigned status_;
    std::string_view reason_;
    // As many as responses commonly have, so that only the record is allocated.
    boost::container::small_vector<field, 16> fields_;
    boost::container::small_vector<std::string_view, 2> connection_;
};

}  // namespace detail

}  // namespace idempo
