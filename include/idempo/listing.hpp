// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <boost/system/errc.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// What a store holds, a page at a time, for an operator. Responses are not among it.

namespace idempo {

/// The arguments of `list`.
struct list_request {
    /// `record_page::next` of the page before; empty for the first page. A cursor belongs to the store that made it.
    std::string after{};
    /// How many records a call looks at, about, whether they match or not; at most `largest_page`. A store may look at
    /// fewer, or at more where it expects few to match, and never at so many that other operations have to wait for
    /// long.
    std::size_t limit = 100;
    /// Only records in this state.
    std::optional<record_state> state{};
    /// Only records whose key begins with these digits, in lower-case hexadecimal: what a log prints of it.
    std::string digits{};

    /// \name What the stores of this library leave out, too
    /// Another store may tell records that do not match.
    /// @{
    /// Only this attempt and later ones.
    unsigned least_attempt = 0;
    /// Only records in flight whose lease has ended, and which are not free (attempt 0).
    bool lease_ended = false;
    /// Only records whose `age` is at least this, or not known.
    std::optional<std::chrono::milliseconds> older_than{};
    /// @}

    static constexpr std::size_t largest_page = 10'000;
};

/// A record and the digest that it is kept under.
struct listed_record {
    store_key key;
    record_info info;
};

/// A part of a listing, in no order that means anything.
struct record_page {
    /// Those that match and have not expired. There may be none although there are more pages.
    std::vector<listed_record> records{};
    /// Values under keys of ours that are no records of this version. They are left out.
    std::size_t unreadable = 0;
    /// Where the next page begins; empty behind the last one.
    std::string next{};
};

/// A store that lists its records. From the first page to the last, each record that existed all the time is on some
/// page; one that came, went or changed meanwhile may be on none, and any may be on several. A cursor that the store
/// has not made is `errc::invalid_argument`.
template <class S>
concept listing_store = store<S> && requires(S& s, list_request const& request, error_code& ec) {
    { s.list(request, ec) } -> std::same_as<record_page>;
};

/// An asynchronous store that lists its records, as `listing_store`.
template <class S>
concept async_listing_store = async_store<S> && requires(S& s, list_request request) {
    s.async_list(request, detail::handler_archetype<error_code, record_page>{});
};

namespace detail {

/// The error of a cursor that the store has not made.
[[nodiscard]] inline error_code cursor_refused() { return make_error_code(boost::system::errc::invalid_argument); }

/// Whether the request asks for such a record.
[[nodiscard]] inline bool is_asked_for(list_request const& request, store_key const& key, record_info const& info) {
    if (request.state && *request.state != info.state) return false;
    if (info.attempt < request.least_attempt) return false;
    bool const is_over = info.state == record_state::in_flight && info.attempt > 0 &&
                         info.lease_remaining <= std::chrono::milliseconds::zero();
    if (request.lease_ended && !is_over) return false;
    if (request.older_than && info.age && *info.age < *request.older_than) return false;
    return request.digits.empty() || to_hex(key.view()).starts_with(request.digits);
}

/// The key that `to_hex` has made these digits of; empty where there is none.
[[nodiscard]] std::optional<store_key> key_from_hex(std::string_view digits);

/// How many records a page looks at. \pre `most` is at least 1
[[nodiscard]] inline std::size_t bounded_page(std::size_t limit, std::size_t most = list_request::largest_page) {
    return limit == 0 ? 1 : (limit < most ? limit : most);
}

}  // namespace detail

}  // namespace idempo
