// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/listing.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace idempo {

/// The limits of a memory store, and its clock.
struct memory_store_options {
    /// Records, of whatever state.
    std::size_t max_records = 1'000'000;
    /// Bytes: for each record `memory_store::record_overhead` and the bytes given to Complete, but at least
    /// `small_record_bytes`, which Claim reserves; for each mark of a used key `memory_store::mark_bytes`.
    std::size_t max_bytes = std::size_t{1} << 30;
    /// The current time. Called from several threads at once; must neither go backwards nor throw.
    /// Empty: `std::chrono::steady_clock::now`.
    std::function<std::chrono::steady_clock::time_point()> clock{};
    /// Parts with a lock each; a power of two. Choose more than the threads that use the store.
    std::size_t shards = 64;
};

/// The store that lives and dies with the process.
///
/// A handle: copies share the records, and any member may be called from any thread. A call waits only for a mutex that
/// is held during a few look-ups. Durations of zero or less have ended when the call returns; no duration is too long.
///
/// Expired records are never visible. There is no thread to free them, so later calls do:
/// - A call that adds a record frees up to two expired ones of its shard.
/// - A call that finds the store full frees expired records of any shard, 16 for each time it locks, until there is
///   room.
/// - `error::store_full` means that every shard in turn had no expired record left and there was still no room, or that
///   memory ran out.
/// - No call looks at records that have not expired, and each record is freed once.
/// - The mark of a used key takes the place of its record, and is freed when it has ended, when the table of marks is
///   enlarged or the store is full. That copies the marks of one shard under its lock: about a millisecond for 100,000.
///   A store that is full of marks refuses new keys with `error::store_full` until marks end; it never drops one
///   before.
/// - Keeping a shard's records in the order of expiry costs constant time for a record that expires last, which is the
///   rule if claims have no lease and all retentions are equal; otherwise the logarithm of their number.
class memory_store {
public:
    /// Called directly from every style.
    static constexpr bool never_blocks = true;

    /// What a record counts beyond the bytes given to Complete. Its blocks and its share of the table take about 200
    /// bytes; the rest allows for regions and slabs that are not full (`benchmarks/memory_growth`).
    static constexpr std::size_t record_overhead = 256;

    /// It remembers used keys.
    static constexpr bool remembers_expired = true;

    /// What the mark of a used key counts, and the most that it takes.
    static constexpr std::size_t mark_bytes = 40;

    /// \throws std::invalid_argument if the limits have no room for a single record, or the number of shards is not a
    /// power of two.
    explicit memory_store(memory_store_options options = {});

    /// \post `ec` is `error::store_full` if the record would have been new and there was no room.
    [[nodiscard]] claim_result claim(claim_request const& request, error_code& ec);

    /// \post `ec` is `error::store_full` if the record would have been new, or larger than the claim's reservation, and
    /// there was no room. A record in flight stays so.
    [[nodiscard]] complete_result complete(complete_request const& request, error_code& ec);

    /// \post `ec` is clear, as below where nothing else is said.
    void abandon(store_key const& key, fencing_token const& by, error_code& ec);

    /// Sets the lease to end `lease` from now, and the record to expire its retention later.
    /// \return whether the record is in flight under `by`, even if its lease has ended.
    [[nodiscard]] bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
                             error_code& ec);

    /// \post `ec` is `error::store_full` where there was no room for the step
    [[nodiscard]] bool save_step(step_request const& step, error_code& ec);

    /// \post `ec` is `error::store_full` if the record would have been new and there was no room.
    [[nodiscard]] bool park(park_request const& request, error_code& ec);

    /// \post `ec` is `error::store_full` where there was no room for the response.
    [[nodiscard]] bool settle(settle_request const& request, error_code& ec);

    /// The record under `key`; empty if there is no unexpired one.
    [[nodiscard]] std::optional<record_info> peek(store_key const& key, error_code& ec) const;

    /// Removes the record whatever its state, or its mark; false if there is neither.
    bool forget(store_key const& key, error_code& ec);

    /// A page of the records. Locks one part of the store at a time, and looks at all of it: a call takes a millisecond
    /// for each 100,000 records of a part or so.
    [[nodiscard]] record_page list(list_request const& request, error_code& ec) const;

    /// Records in memory: the unexpired ones, and the expired ones not yet freed.
    [[nodiscard]] std::size_t size() const noexcept;

    /// The bytes of these records, as counted for `max_bytes`.
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    class records;
    std::shared_ptr<records> records_;
};

}  // namespace idempo
