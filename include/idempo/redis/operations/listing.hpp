// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/client.hpp>
#include <idempo/redis/operations/scan_operation.hpp>

#include <idempo/detail/pending_handler.hpp>
#include <idempo/listing.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::redis {

/// Where a page of a listing begins: on the primary of a slot, at a cursor of its SCAN.
struct list_cursor {
    std::uint16_t slot = 0;
    std::uint64_t cursor = 0;
};

/// As text, and back; nothing where it makes no sense. The empty text is the beginning.
[[nodiscard]] std::string write_cursor(list_cursor const& at);
[[nodiscard]] std::optional<list_cursor> read_cursor(std::string_view text);

/// One page: a SCAN, and a look at the keys that it has found, many by a call, or in a cluster one; all of them sent
/// together. Completions come on any
/// thread of the executor.
///
/// It holds the client weakly, since the client's connections hold it: where the last copy of the store goes meanwhile,
/// the page ends with `error::store_unavailable`.
class listing : public std::enable_shared_from_this<listing> {
public:
    using pending_handler = idempo::detail::pending_handler<void(error_code, record_page)>;
    using handler = pending_handler::handler;

    listing(std::shared_ptr<client> const& with, list_request request, handler done);

    void start();

private:
    void look_at(scanned_keys const& found);
    void look_at_many(client& with, std::vector<store_key> const& keys);
    void look_at_each(client& with, std::vector<store_key> const& keys);
    void add(store_key const& key, error_code error, std::optional<record_info> info);
    void finish(error_code error);

    std::weak_ptr<client> client_;
    boost::asio::any_io_executor executor_;
    list_request request_;
    list_cursor at_;

    std::mutex mutex_;  // guards the rest
    pending_handler done_;
    record_page page_;
    std::size_t unanswered_ = 0;
    error_code error_;
};

}  // namespace idempo::redis
