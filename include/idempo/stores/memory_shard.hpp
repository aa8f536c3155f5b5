// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/deadline.hpp>
#include <idempo/stores/memory_budget.hpp>
#include <idempo/stores/per_core_shared_mutex.hpp>
#include <idempo/stores/record_memory.hpp>
#include <idempo/stores/used_keys.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/intrusive/options.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/intrusive/set_hook.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <boost/intrusive/unordered_set_hook.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

namespace idempo::detail {

using plain_link = boost::intrusive::link_mode<boost::intrusive::normal_link>;

/// A record and its links in the shard: one block of the shard's memory.
struct memory_record : boost::intrusive::unordered_set_base_hook<plain_link>,
                       boost::intrusive::set_base_hook<plain_link, boost::intrusive::optimize_size<true>> {
    store_key key;
    idempo::fingerprint fingerprint;
    idempo::fencing_token fencing_token;
    /// What Complete was given, or the `open_notes` before that.
    shared_bytes bytes;
    /// When the lease ends, or nobody has held the record any longer.
    time_point lease_end;
    /// How long it stays after that.
    std::chrono::milliseconds retention{};
    std::chrono::milliseconds remember{};
    /// 0: nothing but steps is left of earlier attempts.
    unsigned attempt = 1;
    bool is_completed = false;
    bool is_parked = false;
    /// In the notes.
    bool has_reason = false;

    [[nodiscard]] time_point expiry() const noexcept { return later(lease_end, retention); }
};

struct memory_record_delete {
    void operator()(memory_record* record) const noexcept {
        record->~memory_record();
        memory->deallocate(record, sizeof(memory_record), alignof(memory_record));
    }

    std::pmr::memory_resource* memory = nullptr;
};
using memory_record_ptr = std::unique_ptr<memory_record, memory_record_delete>;

/// A part of a memory store's records: found by key, and kept in the order of their expiry, so that the next one to
/// expire is known without a search. Every other function needs the lock held: shared for `look_up`, else exclusively.
class alignas(64) memory_shard {
public:
    /// Both outlive it.
    memory_shard(memory_budget& budget, record_memory& memory)
        : budget_(budget),
          memory_(&memory),
          buckets_(16 + table::bucket_overhead),
          by_key_({buckets_.data(), buckets_.size()}) {}

    memory_shard(memory_shard const&) = delete;
    memory_shard& operator=(memory_shard const&) = delete;

    ~memory_shard() {
        by_expiry_.clear();
        by_key_.clear_and_dispose(memory_record_delete{memory_});
    }

    /// Tries for about as long as an operation lasts before it sleeps, since to be woken costs ten times that.
    [[nodiscard]] std::unique_lock<per_core_shared_mutex> lock() {
        std::unique_lock lock(mutex_, std::try_to_lock);
        for (int tries = 0; !lock && tries < 100; ++tries) static_cast<void>(lock.try_lock());
        if (!lock) lock.lock();
        return lock;
    }

    /// Shared; nothing where somebody has the lock exclusively.
    [[nodiscard]] per_core_shared_mutex::reader try_read() const noexcept { return mutex_.try_read(); }

    /// The record under `key`, or null where there is none or where it has expired.
    [[nodiscard]] memory_record const* look_up(store_key const& key, time_point now) const {
        auto const found = by_key_.find(key);
        return found == by_key_.end() || found->expiry() <= now ? nullptr : &*found;
    }

    /// The record under `key`, or null where there is none or where it has expired: then a mark takes its place, if it
    /// asked for one.
    [[nodiscard]] memory_record* find(store_key const& key, time_point now) {
        auto const found = by_key_.find(key);
        if (found == by_key_.end()) return nullptr;
        if (found->expiry() > now) return &*found;
        static_cast<void>(expire(*found, now));
        return nullptr;
    }

    /// When the mark of a key without an unexpired record ends; empty where there is none.
    [[nodiscard]] std::optional<time_point> find_mark(store_key const& key, time_point now) const {
        auto const found = by_key_.find(key);  // expired, where memory for its mark ran out
        if (found != by_key_.end()) {
            auto const until = later(found->expiry(), found->remember);
            if (until > now) return until;
        }
        return marks_.find(key, now);
    }

    /// Removes the mark of the key; false where there is none.
    bool forget_mark(store_key const& key, time_point now) noexcept {
        auto const before = marks_.size();
        bool const was_there = marks_.erase(key, now);
        give_marks_back(before);
        return was_there;
    }

    /// A record for `add`. \throws std::bad_alloc
    [[nodiscard]] memory_record_ptr make_record() {
        auto* const block = memory_->allocate(sizeof(memory_record), alignof(memory_record));
        return memory_record_ptr(new (block) memory_record, {memory_});
    }

    /// The bytes as a record keeps them. Large ones stay where they are. \throws std::bad_alloc
    [[nodiscard]] shared_bytes keep(shared_bytes const& bytes) {
        constexpr std::size_t with_its_count = 64;
        if (bytes.size() + with_its_count > record_memory::largest_slab_block) return bytes;
        return shared_bytes(bytes.view(), memory_);
    }

    /// Adds a record under a key that has none. False where there is no room for it, or an expired one is left because
    /// memory for its mark ran out.
    [[nodiscard]] bool add(memory_record_ptr record) {
        if (!budget_.acquire(1, counted(record->bytes.size()))) return false;
        if (by_key_.size() >= by_key_.split_count()) grow_table();
        if (!by_key_.insert(*record).second) {
            budget_.give_back(1, counted(record->bytes.size()));
            return false;
        }
        by_expiry_.insert(by_expiry_.end(), *record);
        static_cast<void>(record.release());  // the table owns it
        return true;
    }

    /// Gives the record other bytes. False where there is no room for them.
    [[nodiscard]] bool fill(memory_record& record, shared_bytes const& bytes) {
        auto const before = counted(record.bytes.size());
        auto const after = counted(bytes.size());
        if (after > before && !budget_.acquire(0, after - before)) return false;
        try {
            record.bytes = keep(bytes);
        } catch (std::bad_alloc const&) {
            if (after > before) budget_.give_back(0, after - before);
            return false;
        }
        if (before > after) budget_.give_back(0, before - after);
        return true;
    }

    /// Moves the end of the lease, and so the expiry. Constant time for the last record where it stays the last, which
    /// is that of most completions.
    void reschedule(memory_record& record, time_point lease_end, std::chrono::milliseconds retention) {
        auto const at = by_expiry_.iterator_to(record);
        // Not by std::next, which climbs to the root from the last one.
        bool const is_last = &*by_expiry_.rbegin() == &record;
        bool const stays =
            is_last && (at == by_expiry_.begin() || std::prev(at)->expiry() <= later(lease_end, retention));
        if (!stays) by_expiry_.erase(at);
        record.lease_end = lease_end;
        record.retention = retention;
        if (!stays) by_expiry_.insert(by_expiry_.end(), record);
    }

    void remove(memory_record& record) { remove(record, 0); }

    /// Removes expired records, or replaces them by their marks, but not more than `most`; returns how many.
    std::size_t reclaim(time_point now, std::size_t most) {
        std::size_t removed = 0;
        while (removed < most && !by_expiry_.empty() && by_expiry_.begin()->expiry() <= now) {
            if (!expire(*by_expiry_.begin(), now)) break;
            ++removed;
        }
        return removed;
    }

    /// The first `most` records behind `after`, in the order of their keys. Looks at all of the shard.
    [[nodiscard]] std::vector<memory_record const*> records_behind(std::optional<store_key> const& after,
                                                                   std::size_t most) const {
        std::vector<memory_record const*> found;
        for (auto const& record : by_key_) {
            if (!after || record.key > *after) found.push_back(&record);
        }
        most = std::min(most, found.size());
        auto const end = found.begin() + static_cast<std::ptrdiff_t>(most);
        std::partial_sort(found.begin(), end, found.end(), [](auto* a, auto* b) { return a->key < b->key; });
        found.erase(end, found.end());
        return found;
    }

    /// Frees marks that have ended, at least enough for a record where there are so many; returns how many.
    std::size_t reclaim_marks(time_point now) noexcept {
        auto const before = marks_.size();
        auto const freed = marks_.reclaim(now, 1 + counted(0) / used_keys::bytes_each);
        give_marks_back(before);
        return freed;
    }

private:
    /// A mark is smaller than any record, so that there is always room for it: false only where memory ran out. Then
    /// the record stays, for it must not be forgotten.
    [[nodiscard]] bool expire(memory_record& record, time_point now) {
        auto const until = later(record.expiry(), record.remember);
        if (until <= now) {
            remove(record);
            return true;
        }
        auto const before = marks_.size();
        if (!marks_.insert(record.key, until, now)) return false;
        // Less where the table has grown and left out what has ended.
        auto const after = marks_.size();
        remove(record, after > before ? used_keys::bytes_each : 0);
        if (after < before) give_marks_back(before);
        return true;
    }

    void give_marks_back(std::size_t before) noexcept {
        if (before > marks_.size()) budget_.give_back(0, (before - marks_.size()) * used_keys::bytes_each);
    }

    /// \param kept bytes that stay taken
    void remove(memory_record& record, std::size_t kept) {
        budget_.give_back(1, counted(record.bytes.size()) - kept);
        by_expiry_.erase(by_expiry_.iterator_to(record));
        by_key_.erase_and_dispose(by_key_.iterator_to(record), memory_record_delete{memory_});
    }

    struct key_of {
        using type = store_key;
        store_key const& operator()(memory_record const& record) const noexcept { return record.key; }
    };
    struct expiry_of {
        using type = time_point;
        time_point operator()(memory_record const& record) const noexcept { return record.expiry(); }
    };
    using table =
        boost::intrusive::unordered_set<memory_record, boost::intrusive::key_of_value<key_of>,
                                        boost::intrusive::hash<identifier_hash>, boost::intrusive::incremental<true>,
                                        boost::intrusive::linear_buckets<true>>;
    using expiry_order = boost::intrusive::multiset<memory_record, boost::intrusive::key_of_value<expiry_of>>;

    static std::size_t counted(std::size_t bytes) noexcept {
        return memory_store::record_overhead + std::max(bytes, small_record_bytes);
    }

    /// Splits one bucket in two, so that no call has to move all records while others wait for the lock.
    void grow_table() {
        if (by_key_.split_count() == by_key_.bucket_count()) {
            try {
                std::vector<table::bucket_type> larger(2 * by_key_.bucket_count() + table::bucket_overhead);
                by_key_.incremental_rehash({larger.data(), larger.size()});
                buckets_.swap(larger);
            } catch (std::bad_alloc const&) {
                return;  // then the chains get longer
            }
        }
        by_key_.incremental_rehash();
        fetch_next_split();
    }

    /// The next call of `grow_table` moves records that are seldom in the cache, and would wait for them.
    void fetch_next_split() const {
        if (by_key_.split_count() == by_key_.bucket_count()) return;
        auto const bucket = by_key_.split_count() - by_key_.bucket_count() / 2;
        if (auto const first = by_key_.begin(bucket); first != by_key_.end(bucket)) __builtin_prefetch(&*first);
    }

    per_core_shared_mutex mutex_;
    memory_budget& budget_;
    record_memory* memory_;
    std::vector<table::bucket_type> buckets_;
    table by_key_;
    expiry_order by_expiry_;
    used_keys marks_;
};

}  // namespace idempo::detail
