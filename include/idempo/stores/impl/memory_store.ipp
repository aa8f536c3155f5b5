// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/memory_store.hpp>

#include <idempo/detail/deadline.hpp>
#include <idempo/detail/open_notes.hpp>
#include <idempo/stores/memory_budget.hpp>
#include <idempo/stores/memory_shard.hpp>
#include <idempo/stores/replayed_bytes.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace idempo {

using detail::later;
using detail::memory_record;
using detail::memory_shard;
using detail::read_notes;
using detail::remaining;
using detail::replayed_bytes;
using detail::time_point;

/// The state that copies of a store share.
class memory_store::records {
public:
    explicit records(memory_store_options options)
        : clock_(std::move(options.clock)),
          budget_(options.max_records, options.max_bytes) {
        for (std::size_t i = 0; i < options.shards; ++i) {
            if (i % shards_per_memory == 0) memories_.push_back(detail::record_memory::make());
            shards_.emplace_back(budget_, *memories_.back());
        }
    }

    /// The result of `action(shard, now)`, called with the lock of the key's shard. The clock is read under the lock,
    /// so time does not go backwards from one operation of a key to the next.
    template <class Action>
    auto with_shard(store_key const& key, Action action) {
        memory_shard& shard = shards_[shard_of(key)];
        std::unique_lock const lock = shard.lock();
        return action(shard, now());
    }

    /// The same for an action whose result is empty if there is no room: it is tried again as long as freeing expired
    /// records makes room, and once more after that, since others make room as well.
    template <class Result, class Action>
    Result with_room(store_key const& key, error_code& ec, Action action) {
        ec.clear();
        std::optional<Result> result = with_shard(key, action);
        for (bool is_reclaiming = true; !result && is_reclaiming;) {
            is_reclaiming = reclaim(shard_of(key));
            result = with_shard(key, action);
        }
        if (!result) ec = error::store_full;
        return result ? *std::move(result) : Result{};
    }

    /// The record of a claim that is answered by one; empty where there is none, or where the lock is needed to see.
    [[nodiscard]] shared_bytes replay(claim_request const& request) const {
        replayed_bytes found;
        bool const is_replay = read_shard(request.key, [&](memory_shard const& shard, time_point now) {
            auto const* const record = shard.look_up(request.key, now);
            if (record == nullptr || !record->is_completed || record->fingerprint != request.fingerprint) return false;
            found.take(record->bytes);
            return true;
        });
        if (!is_replay) return {};
        try {
            return std::move(found).release();
        } catch (std::bad_alloc const&) {
            return {};  // under the lock it is shared
        }
    }

    [[nodiscard]] std::size_t shard_count() const noexcept { return shards_.size(); }

    /// As `with_shard`, for a shard by its number.
    template <class Action>
    auto with_shard_number(std::size_t number, Action action) {
        memory_shard& shard = shards_[number];
        std::unique_lock const lock = shard.lock();
        return action(shard, now());
    }

    [[nodiscard]] detail::memory_budget const& budget() const noexcept { return budget_; }

private:
    /// Whether `action(shard, now)`, which changes nothing and may run beside others of its kind, found what it looked
    /// for. False as well where an operation is under way that may change something.
    template <class Action>
    bool read_shard(store_key const& key, Action action) const {
        memory_shard const& shard = shards_[shard_of(key)];
        auto const reading = shard.try_read();
        return reading && action(shard, now());
    }

    [[nodiscard]] time_point now() const { return clock_ ? clock_() : std::chrono::steady_clock::now(); }

    /// By the last bytes of the key; a shard's table hashes by the first.
    [[nodiscard]] std::size_t shard_of(store_key const& key) const noexcept {
        std::uint64_t word = 0;
        std::memcpy(&word, key.bytes.data() + key.bytes.size() - sizeof word, sizeof word);
        return word & (shards_.size() - 1);
    }

    /// Removes some expired records, or marks, from the first shard, counted from `first`, that has any; false if none
    /// has.
    bool reclaim(std::size_t first) {
        constexpr std::size_t most = 16;
        auto const time = now();
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            memory_shard& shard = shards_[(first + i) & (shards_.size() - 1)];
            std::unique_lock const lock = shard.lock();
            if (shard.reclaim(time, most) > 0 || shard.reclaim_marks(time) > 0) return true;
        }
        return false;
    }

    /// Few wait for each other, and a small store has few regions.
    static constexpr std::size_t shards_per_memory = 16;

    std::function<time_point()> clock_;
    detail::memory_budget budget_;
    std::vector<detail::record_memory::owner> memories_;
    std::deque<memory_shard> shards_;  // which does not move what it holds
};

static_assert(memory_store::mark_bytes == detail::used_keys::bytes_each);

namespace {

memory_store_options validated(memory_store_options options) {
    if (options.max_records == 0) throw std::invalid_argument("memory_store: max_records must be at least 1");
    if (options.max_bytes < memory_store::record_overhead + small_record_bytes) {
        throw std::invalid_argument("memory_store: max_bytes must have room for one record of small_record_bytes");
    }
    if (!std::has_single_bit(options.shards)) {
        throw std::invalid_argument("memory_store: shards must be a power of two");
    }
    return options;
}

/// Adds a record that `write(record)` fills in. False if there is no room or no memory.
template <class Write>
bool add_record(memory_shard& shard, time_point now, Write write) {
    // Two for one: the number of expired records falls, and no call has much to do.
    shard.reclaim(now, 2);
    try {
        auto record = shard.make_record();
        write(*record);
        return shard.add(std::move(record));
    } catch (std::bad_alloc const&) {
        return false;
    }
}

/// Shared, where nothing stands before them.
shared_bytes steps_of(memory_record const& record) {
    if (!record.has_reason) return record.bytes;
    auto const steps = read_notes(record.bytes.view(), true).steps;
    return steps.empty() ? shared_bytes() : shared_bytes(steps);
}

claim_result claim_existing(memory_shard& shard, memory_record& record, claim_request const& request, time_point now) {
    if (record.fingerprint != request.fingerprint) return mismatch{record.fingerprint};
    if (record.is_completed) return completed{record.bytes};
    bool const is_over = record.lease_end <= now;
    if (record.fencing_token != request.fencing_token || (record.is_parked && is_over)) {
        if (!is_over) return in_flight{remaining(record.lease_end, now)};
        if (record.is_parked && !request.take_parked) {
            return parked{record.attempt, shared_bytes(read_notes(record.bytes.view(), record.has_reason).reason)};
        }
        if (!request.take_over && !record.is_parked && record.attempt > 0) return expired{record.attempt};
        record.fencing_token = request.fencing_token;
        ++record.attempt;
    }
    // A retried claim also restarts its lease: its caller begins only now.
    record.remember = request.remember;
    shard.reschedule(record, later(now, request.lease), request.retention);
    return granted{record.attempt, steps_of(record)};
}

bool claim_absent(memory_shard& shard, claim_request const& request, time_point now) {
    return add_record(shard, now, [&](memory_record& record) {
        record.key = request.key;
        record.fingerprint = request.fingerprint;
        record.fencing_token = request.fencing_token;
        record.lease_end = later(now, request.lease);
        record.retention = request.retention;
        record.remember = request.remember;
    });
}

/// Empty if there is no room.
std::optional<complete_result> complete_existing(memory_shard& shard, memory_record& record,
                                                 complete_request const& request, time_point now) {
    if (record.fingerprint != request.fingerprint) return mismatch{};
    if (record.fencing_token != request.fencing_token) {
        if (record.is_completed) return completed{record.bytes};
        return in_flight{remaining(record.lease_end, now)};
    }
    if (record.is_completed) return done{};
    if (record.is_parked && record.lease_end <= now) return in_flight{};
    if (!shard.fill(record, request.record)) return std::nullopt;
    record.is_completed = true;
    record.is_parked = false;
    record.has_reason = false;
    record.remember = request.remember;
    shard.reschedule(record, now, request.retention);
    return done{};
}

bool complete_absent(memory_shard& shard, complete_request const& request, time_point now) {
    return add_record(shard, now, [&](memory_record& record) {
        record.key = request.key;
        record.fingerprint = request.fingerprint;
        record.fencing_token = request.fencing_token;
        record.bytes = shard.keep(request.record);
        record.is_completed = true;
        record.lease_end = now;
        record.retention = request.retention;
        record.remember = request.remember;
    });
}

/// The record under `key` if it is in flight under `by`, else null.
memory_record* find_held(memory_shard& shard, store_key const& key, fencing_token const& by, time_point now) {
    memory_record* const found = shard.find(key, now);
    if (found == nullptr || found->is_completed || found->fencing_token != by) return nullptr;
    return found->is_parked && found->lease_end <= now ? nullptr : found;
}

/// Nobody holds it any longer.
void end_lease(memory_shard& shard, memory_record& record, time_point now, std::chrono::milliseconds retention) {
    record.fencing_token = {};
    shard.reschedule(record, now, retention);
}

/// Empty if there is no room.
std::optional<bool> append_step(memory_shard& shard, memory_record& record, step_request const& request) {
    auto const notes = read_notes(record.bytes.view(), record.has_reason);
    if (notes.steps.size() != request.offset) return notes.steps.size() > request.offset;
    std::string steps(notes.steps);
    steps += request.step.view();
    shared_bytes const bytes(record.has_reason ? detail::parked_notes({notes.reason, steps}) : steps);
    if (!shard.fill(record, bytes)) return std::nullopt;
    return true;
}

void park_record(memory_shard& shard, memory_record& record, park_request const& request, time_point now) {
    auto const steps = read_notes(record.bytes.view(), record.has_reason).steps;
    if (shard.fill(record, shared_bytes(detail::parked_notes({request.reason.view(), steps}))))
        record.has_reason = true;
    record.is_parked = true;
    record.remember = request.remember;
    shard.reschedule(record, now, request.retention);
}

record_info info_of(memory_record const& record, time_point now) {
    bool const is_parked = record.is_parked && record.lease_end <= now;
    auto const notes = read_notes(record.bytes.view(), record.has_reason);
    auto const open = is_parked ? record_state::parked : record_state::in_flight;
    return {.state = record.is_completed ? record_state::completed : open,
            .attempt = record.attempt,
            .lease_remaining = remaining(record.lease_end, now),
            .expires_in = remaining(record.expiry(), now),
            .record_bytes = record.is_completed ? record.bytes.size() : 0,
            .steps_bytes = record.is_completed ? 0 : notes.steps.size(),
            .reason = std::string(notes.reason),
            .age = std::nullopt};
}

/// How far a listing has come: behind which key of which shard.
struct memory_cursor {
    std::size_t shard = 0;
    std::optional<store_key> after{};
};

std::string write_cursor(memory_cursor const& at) {
    return std::to_string(at.shard) + ":" + (at.after ? to_hex(at.after->view()) : "");
}

/// Empty where it makes no sense.
std::optional<memory_cursor> read_cursor(std::string_view text) {
    memory_cursor at;
    if (text.empty()) return at;
    auto const colon = text.find(':');
    auto const* const end = text.data() + std::min(colon, text.size());
    auto const [stopped, error] = std::from_chars(text.data(), end, at.shard);
    if (colon == std::string_view::npos || error != std::errc() || stopped != end) return std::nullopt;
    auto const key = text.substr(colon + 1);
    if (key.empty()) return at;
    at.after = detail::key_from_hex(key);
    return at.after ? std::optional(at) : std::nullopt;
}

}  // namespace

memory_store::memory_store(memory_store_options options)
    : records_(std::make_shared<records>(validated(std::move(options)))) {}

claim_result memory_store::claim(claim_request const& request, error_code& ec) {
    if (auto record = records_->replay(request); !record.empty()) {
        ec.clear();
        return completed{std::move(record)};
    }
    auto const claim_in = [&](memory_shard& shard, time_point now) -> std::optional<claim_result> {
        if (auto* const found = shard.find(request.key, now)) return claim_existing(shard, *found, request, now);
        if (request.remember > std::chrono::milliseconds::zero() && shard.find_mark(request.key, now)) {
            return remembered{};
        }
        if (claim_absent(shard, request, now)) return granted{1};
        return std::nullopt;
    };
    return records_->with_room<claim_result>(request.key, ec, claim_in);
}

complete_result memory_store::complete(complete_request const& request, error_code& ec) {
    auto const complete_in = [&](memory_shard& shard, time_point now) -> std::optional<complete_result> {
        if (auto* const found = shard.find(request.key, now)) return complete_existing(shard, *found, request, now);
        if (complete_absent(shard, request, now)) return done{};
        return std::nullopt;
    };
    return records_->with_room<complete_result>(request.key, ec, complete_in);
}

void memory_store::abandon(store_key const& key, fencing_token const& by, error_code& ec) {
    ec.clear();
    records_->with_shard(key, [&](memory_shard& shard, time_point now) {
        auto* const held = find_held(shard, key, by, now);
        if (held == nullptr) return;
        if (held->attempt == 1 && held->bytes.empty()) return shard.remove(*held);
        // An earlier attempt, or a step, may have had its effect, and the next one must learn of it.
        --held->attempt;
        end_lease(shard, *held, now, held->retention);
    });
}

bool memory_store::save_step(step_request const& step, error_code& ec) {
    return records_->with_room<bool>(step.key, ec, [&](memory_shard& shard, time_point now) -> std::optional<bool> {
        auto* const held = find_held(shard, step.key, step.fencing_token, now);
        return held == nullptr ? false : append_step(shard, *held, step);
    });
}

bool memory_store::park(park_request const& request, error_code& ec) {
    return records_->with_room<bool>(request.key, ec, [&](memory_shard& shard, time_point now) -> std::optional<bool> {
        auto* const found = shard.find(request.key, now);
        if (found != nullptr) {
            if (found->fencing_token != request.fencing_token || found->fingerprint != request.fingerprint)
                return false;
            if (found->is_parked && found->lease_end <= now) return true;
            if (found->is_completed) return false;
            park_record(shard, *found, request, now);
            return true;
        }
        bool const has_room = add_record(shard, now, [&](memory_record& record) {
            record.key = request.key;
            record.fingerprint = request.fingerprint;
            record.fencing_token = request.fencing_token;
            record.bytes = shard.keep(shared_bytes(detail::parked_notes({request.reason.view(), {}})));
            record.is_parked = true;
            record.has_reason = true;
            record.lease_end = now;
            record.retention = request.retention;
            record.remember = request.remember;
        });
        return has_room ? std::optional(true) : std::nullopt;
    });
}

bool memory_store::settle(settle_request const& request, error_code& ec) {
    return records_->with_room<bool>(request.key, ec, [&](memory_shard& shard, time_point now) -> std::optional<bool> {
        auto* const found = shard.find(request.key, now);
        if (found == nullptr || found->is_completed) return false;
        if (now < found->lease_end || found->attempt != request.attempt) return false;
        auto const steps = steps_of(*found);
        if (!request.record && steps.empty()) {
            shard.remove(*found);
            shard.forget_mark(request.key, now);
            return true;
        }
        if (!shard.fill(*found, request.record.value_or(steps))) return std::nullopt;
        found->is_parked = false;
        found->has_reason = false;
        found->is_completed = request.record.has_value();
        if (!request.record) found->attempt = 0;
        end_lease(shard, *found, now, request.retention);
        return true;
    });
}

bool memory_store::renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
                         error_code& ec) {
    ec.clear();
    return records_->with_shard(key, [&](memory_shard& shard, time_point now) {
        auto* const held = find_held(shard, key, by, now);
        if (!held) return false;
        shard.reschedule(*held, later(now, lease), held->retention);
        return true;
    });
}

std::optional<record_info> memory_store::peek(store_key const& key, error_code& ec) const {
    ec.clear();
    return records_->with_shard(key, [&](memory_shard& shard, time_point now) -> std::optional<record_info> {
        if (auto const* const found = shard.find(key, now)) return info_of(*found, now);
        auto const mark = shard.find_mark(key, now);
        if (!mark) return std::nullopt;
        record_info info;
        info.state = record_state::remembered;
        info.attempt = 0;
        info.expires_in = remaining(*mark, now);
        return info;
    });
}

record_page memory_store::list(list_request const& request, error_code& ec) const {
    auto from = read_cursor(request.after);
    if (!from || from->shard >= records_->shard_count()) {
        ec = detail::cursor_refused();
        return {};
    }
    ec.clear();
    record_page page;
    for (auto left = detail::bounded_page(request.limit); left > 0;) {
        auto const looked = records_->with_shard_number(from->shard, [&](memory_shard& shard, time_point now) {
            auto const found = shard.records_behind(from->after, left);
            for (auto const* const each : found) {
                if (auto info = info_of(*each, now);
                    each->expiry() > now && detail::is_asked_for(request, each->key, info)) {
                    page.records.push_back({each->key, std::move(info)});
                }
            }
            if (!found.empty()) from->after = found.back()->key;
            return found.size();
        });
        if (looked == left) break;
        left -= looked;
        if (++from->shard == records_->shard_count()) return page;
        from->after.reset();
    }
    page.next = write_cursor(*from);
    return page;
}

bool memory_store::forget(store_key const& key, error_code& ec) {
    ec.clear();
    return records_->with_shard(key, [&](memory_shard& shard, time_point now) {
        auto* const found = shard.find(key, now);
        if (found) shard.remove(*found);
        return shard.forget_mark(key, now) || found != nullptr;
    });
}

std::size_t memory_store::size() const noexcept { return records_->budget().records(); }

std::size_t memory_store::bytes() const noexcept { return records_->budget().bytes(); }

}  // namespace idempo
