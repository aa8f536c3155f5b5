// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/listing.hpp>

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/peek_many_operation.hpp>
#include <idempo/redis/protocol/key_slot.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

namespace idempo::redis {

std::string write_cursor(list_cursor const& at) { return std::to_string(at.slot) + ":" + std::to_string(at.cursor); }

std::optional<list_cursor> read_cursor(std::string_view text) {
    list_cursor at;
    if (text.empty()) return at;
    auto const* const end = text.data() + text.size();
    auto const slot = std::from_chars(text.data(), end, at.slot);
    if (slot.ec != std::errc() || slot.ptr == end || *slot.ptr != ':' || at.slot >= slot_count) return std::nullopt;
    auto const cursor = std::from_chars(slot.ptr + 1, end, at.cursor);
    if (cursor.ec != std::errc() || cursor.ptr != end) return std::nullopt;
    return at;
}

listing::listing(std::shared_ptr<client> const& with, list_request request, handler done)
    : client_(with),
      executor_(with->executor()),
      request_(std::move(request)),
      done_(std::move(done), executor_) {}

void listing::start() {
    auto const at = read_cursor(request_.after);
    auto const with = client_.lock();
    if (!at) return finish(idempo::detail::cursor_refused());
    if (!with) return finish(error::store_unavailable);
    at_ = *at;
    auto scanned = [self = shared_from_this()](error_code error, scanned_keys found) {
        if (error) return self->finish(error);
        self->look_at(found);
    };
    auto const count = idempo::detail::bounded_page(request_.limit, scan_operation::most);
    with->submit(std::make_unique<scan_operation>(scan_range{at_.slot, at_.cursor, count, request_.digits},
                                                  with->prefix(), executor_, std::move(scanned)));
}

void listing::look_at(scanned_keys const& found) {
    auto const with = client_.lock();
    if (!with) return finish(error::store_unavailable);
    at_.cursor = found.cursor;
    auto const slot = found.cursor != 0 ? at_.slot : with->next_primary(static_cast<std::uint16_t>(at_.slot + 1));
    if (slot) page_.next = write_cursor({*slot, found.cursor});
    if (found.keys.empty()) return finish({});
    return with->takes_many_keys() ? look_at_many(*with, found.keys) : look_at_each(*with, found.keys);
}

void listing::look_at_many(client& with, std::vector<store_key> const& keys) {
    constexpr auto most = peek_many_operation::most;
    unanswered_ = keys.size();
    for (std::size_t first = 0; first < keys.size(); first += most) {
        auto const begin = keys.begin() + static_cast<std::ptrdiff_t>(first);
        std::vector<store_key> const some(begin,
                                          begin + static_cast<std::ptrdiff_t>(std::min(most, keys.size() - first)));
        auto told = [self = shared_from_this(), some](error_code error, std::vector<peeked> all) {
            for (std::size_t place = 0; place < some.size(); ++place) {
                auto found = error ? peeked() : std::move(all[place]);
                auto const what = found.is_unreadable ? make_error_code(idempo::error::record_unreadable) : error;
                self->add(some[place], what, std::move(found.info));
            }
        };
        with.submit(std::make_unique<peek_many_operation>(some, with.prefix(), executor_, std::move(told)));
    }
}

void listing::look_at_each(client& with, std::vector<store_key> const& keys) {
    unanswered_ = keys.size();
    for (auto const& key : keys) {
        auto told = [self = shared_from_this(), key](error_code error, std::optional<record_info> info) {
            self->add(key, error, std::move(info));
        };
        with.submit(std::make_unique<peek_operation>(key, with.prefix(), executor_, std::move(told)));
    }
}

void listing::add(store_key const& key, error_code error, std::optional<record_info> info) {
    error_code first_error;
    {
        std::lock_guard const lock(mutex_);
        if (error == idempo::error::record_unreadable) {
            ++page_.unreadable;
        } else if (error && !error_) {
            error_ = error;
        }
        if (info && idempo::detail::is_asked_for(request_, key, *info)) {
            page_.records.push_back({key, *std::move(info)});
        }
        if (--unanswered_ > 0) return;
        first_error = error_;
    }
    finish(first_error);
}

void listing::finish(error_code error) {
    if (error) page_ = {};
    done_.post(executor_, error, std::move(page_));
}

}  // namespace idempo::redis
