// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/listing.hpp>
#include <idempo/shared_bytes.hpp>
#include <idempo/store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

/// \file
/// The contract in its simplest form, to compare a real store with; and ways to break it, one at a time, which prove
/// that the contract suite can fail.

namespace idempo::tests {

enum class flaw {
    none,
    first_attempt_is_two,
    remaining_lease_is_negative,
    retry_is_a_rival,
    state_before_fingerprint,
    cuts_at_nul,
    unfenced_complete,
    overwrites,
    complete_needs_a_record,
    complete_needs_a_live_lease,
    unfenced_abandon,
    abandon_comes_late,
    abandon_forgets_attempt,
    short_keys,
    copies_are_apart,
    waits_for_the_holder,
    attempt_not_counted,
    takeover_by_anyone,
    always_takes_over,
    retry_counts_as_takeover,
    takes_over_completed,
    life_without_lease,
    complete_keeps_the_expiry,
    renew_keeps_the_expiry,
    renew_needs_a_live_lease,
    unfenced_renew,
    no_lease_overflows,
    peeks_at_the_expired,
    forgets_only_completed,
    evicts,
    refusal_writes,
    no_room_to_complete,
    expired_take_room,
    not_atomic,
    steps_are_not_told,
    unfenced_step,
    step_needs_a_live_lease,
    appends_again,
    abandon_forgets_steps,
    steps_need_takeover,
    steps_stay,
    parked_is_taken_over,
    unfenced_park,
    park_needs_a_record,
    parker_holds_on,
    asking_unparks,
    park_forgets_steps,
    park_keeps_the_expiry,
    settle_frees_only,
    settle_ignores_the_attempt,
    settle_ignores_the_lease,
    settle_counts_the_attempt,
    settle_leaves_a_record,
    peek_hides_parking,
    list_ends_early,
    list_ignores_the_state,
    list_ignores_the_digits,
    lists_the_expired,
    list_takes_any_cursor,
    forgets_used_keys,
    marks_hide_records,
    marks_do_not_end,
    released_keys_are_marked,
    forgotten_keys_are_marked,
    marks_unasked,
    marks_stop_complete,
    renew_keeps_the_mark,
    peek_hides_marks,
    peek_prefers_marks,
    parked_keys_are_not_marked,
    freed_keys_are_marked,
};

class model_store {
    using milliseconds = std::chrono::milliseconds;

    struct stored_record {
        idempo::fingerprint fingerprint;
        idempo::fencing_token fencing_token;
        std::optional<std::string> bytes;     // of a completed record
        std::optional<std::string> reason{};  // of a parked record
        std::string steps{};
        milliseconds lease_end{};
        milliseconds retention{};
        milliseconds expiry{};
        milliseconds remember{};
        unsigned attempt = 1;
    };
    using maybe_record = std::optional<stored_record>;

    struct shared {
        std::mutex mutex;
        std::map<store_key, stored_record> records;
        std::map<store_key, milliseconds> marks;  // and when they end
        std::pair<store_key, fencing_token> late;
    };

    [[nodiscard]] bool is(flaw other) const { return broken_ == other; }

    /// Lets `operation` see and change the record under `key`, absent if it has expired.
    template <class Operation>
    auto transact(store_key key, Operation operation) {
        if (is(flaw::short_keys)) key.bytes.back() = 0;
        std::unique_lock lock(shared_->mutex);
        auto& records = shared_->records;
        maybe_record found;
        if (auto const at = records.find(key); at != records.end() && is_visible(at->second)) found = at->second;
        auto const stale = records.find(key);
        if (stale != records.end() && !is_visible(stale->second)) leave_mark(key, stale->second);
        auto const old_steps = stale != records.end() && is(flaw::steps_stay) ? stale->second.steps : std::string();
        if (is(flaw::not_atomic)) {
            lock.unlock();
            std::this_thread::yield();
            lock.lock();
        }
        bool const was_absent = !found;
        auto answer = operation(found);
        if (was_absent && found && !old_steps.empty()) found->steps = old_steps;
        records.erase(key);
        if (found) records.emplace(key, *std::move(found));
        return answer;
    }

    /// Of a record that has expired.
    void leave_mark(store_key const& key, stored_record const& record) {
        if (is(flaw::forgets_used_keys) || (record.reason && is(flaw::parked_keys_are_not_marked))) return;
        if (record.remember <= milliseconds::zero() && !is(flaw::marks_unasked)) return;
        bool const is_endless = is(flaw::marks_do_not_end) || is(flaw::marks_unasked);
        auto& mark = shared_->marks.try_emplace(key, milliseconds::min()).first->second;
        mark = std::max(mark, is_endless ? milliseconds::max() : later(record.expiry, record.remember));
    }

    [[nodiscard]] bool is_marked(store_key const& key) const {
        auto const mark = shared_->marks.find(key);
        return mark != shared_->marks.end() && mark->second > clock_();
    }

    [[nodiscard]] bool is_visible(stored_record const& record) const {
        return record.expiry > clock_() || is(flaw::peeks_at_the_expired);
    }

public:
    static constexpr bool never_blocks = true;
    static constexpr bool remembers_expired = true;

    /// \param clock milliseconds since the start of the test.
    explicit model_store(std::function<milliseconds()> clock, flaw broken = flaw::none,
                         std::size_t max_records = std::numeric_limits<std::size_t>::max())
        : clock_(std::move(clock)),
          broken_(broken),
          max_records_(max_records),
          shared_(std::make_shared<shared>()) {}

    model_store(model_store const& other)
        : clock_(other.clock_),
          broken_(other.broken_),
          max_records_(other.max_records_),
          shared_(other.shared_) {
        if (is(flaw::copies_are_apart)) shared_ = std::make_shared<shared>();
    }
    model_store& operator=(model_store const&) = default;

    claim_result claim(claim_request const& request, error_code& ec) {
        ec.clear();
        return transact(request.key, [&](maybe_record& found) { return claim(found, request, ec); });
    }

    complete_result complete(complete_request const& request, error_code& ec) {
        ec.clear();
        return transact(request.key, [&](maybe_record& found) { return complete(found, request, ec); });
    }

    void abandon(store_key const& key, fencing_token const& by, error_code& ec) {
        ec.clear();
        std::pair removal(key, by);
        if (is(flaw::abandon_comes_late)) {
            std::lock_guard const lock(shared_->mutex);
            std::swap(removal, shared_->late);
        }
        transact(removal.first, [&](maybe_record& found) {
            bool const is_fenced_off = found && found->fencing_token != removal.second && !is(flaw::unfenced_abandon);
            if (!found || found->bytes || is_parked(*found) || is_fenced_off) return true;
            if (is(flaw::abandon_forgets_steps)) found->steps.clear();
            if ((found->attempt == 1 && found->steps.empty()) || is(flaw::abandon_forgets_attempt)) {
                if (is(flaw::released_keys_are_marked)) shared_->marks[removal.first] = milliseconds::max();
                found.reset();
            } else {
                --found->attempt;
                end_lease(*found);
            }
            return true;
        });
    }

    bool renew(store_key const& key, fencing_token const& by, milliseconds lease, error_code& ec) {
        ec.clear();
        return transact(key, [&](maybe_record& found) {
            if (!found || found->bytes || is_parked(*found) ||
                (found->fencing_token != by && !is(flaw::unfenced_renew))) {
                return false;
            }
            if (is(flaw::renew_needs_a_live_lease) && found->lease_end <= clock_()) return false;
            auto const expiry = found->expiry;
            start_lease(*found, lease, found->retention);
            if (is(flaw::renew_keeps_the_expiry)) found->expiry = expiry;
            if (is(flaw::renew_keeps_the_mark)) found->remember -= found->expiry - expiry;
            return true;
        });
    }

    bool save_step(step_request const& step, error_code& ec) {
        ec.clear();
        return transact(step.key, [&](maybe_record& found) {
            bool const is_fenced_off = found && found->fencing_token != step.fencing_token && !is(flaw::unfenced_step);
            if (!found || found->bytes || is_parked(*found) || is_fenced_off) return false;
            if (is(flaw::step_needs_a_live_lease) && found->lease_end <= clock_()) return false;
            if (found->steps.size() != step.offset && !is(flaw::appends_again)) {
                return found->steps.size() > step.offset;
            }
            found->steps += step.step.view();
            return true;
        });
    }

    bool park(park_request const& request, error_code& ec) {
        ec.clear();
        return transact(request.key, [&](maybe_record& found) {
            if (!found && is(flaw::park_needs_a_record)) return false;
            if (!found) found = stored_record{request.fingerprint, request.fencing_token, {}};
            bool const is_fenced_off = found->fencing_token != request.fencing_token && !is(flaw::unfenced_park);
            if (found->fingerprint != request.fingerprint || is_fenced_off || found->bytes) return false;
            if (found->reason && found->lease_end <= clock_()) return true;
            auto const expiry = found->expiry;
            found->reason = std::string(request.reason.view());
            found->remember = request.remember;
            if (is(flaw::park_forgets_steps)) found->steps.clear();
            start_lease(*found, milliseconds{0}, request.retention);
            if (is(flaw::park_keeps_the_expiry) && expiry != milliseconds{}) found->expiry = expiry;
            return true;
        });
    }

    bool settle(settle_request const& request, error_code& ec) {
        ec.clear();
        return transact(request.key, [&](maybe_record& found) {
            if (!found || found->bytes) return false;
            if (found->attempt != request.attempt && !is(flaw::settle_ignores_the_attempt)) return false;
            if (found->lease_end > clock_() && !is(flaw::settle_ignores_the_lease)) return false;
            found->reason.reset();
            if (request.record && !is(flaw::settle_frees_only)) found->bytes = std::string(request.record->view());
            if (!found->bytes && !is(flaw::settle_counts_the_attempt)) found->attempt = 0;
            found->retention = request.retention;
            bool const is_unused = !found->bytes && found->steps.empty();
            if (is_unused && is(flaw::freed_keys_are_marked)) shared_->marks[request.key] = milliseconds::max();
            if (is_unused && !is(flaw::settle_counts_the_attempt) && !is(flaw::settle_leaves_a_record)) {
                found.reset();
                return true;
            }
            end_lease(*found);
            return true;
        });
    }

    std::optional<record_info> peek(store_key const& key, error_code& ec) {
        ec.clear();
        return transact(key, [&](maybe_record& found) -> std::optional<record_info> {
            bool const is_hidden = found && !is(flaw::peek_prefers_marks);
            if (is_marked(key) && !is_hidden && !is(flaw::peek_hides_marks)) {
                record_info info{.state = record_state::remembered, .attempt = 0};
                info.expires_in = remaining(shared_->marks.at(key));
                return info;
            }
            if (!found) return std::nullopt;
            return info_of(*found);
        });
    }

    record_page list(list_request const& request, error_code& ec) {
        ec.clear();
        std::lock_guard const lock(shared_->mutex);
        auto const after = request.after.empty() ? std::optional(store_key()) : detail::key_from_hex(request.after);
        if (!after && !is(flaw::list_takes_any_cursor)) ec = detail::cursor_refused();
        if (!after) return {};
        record_page page;
        auto left = request.limit;
        for (auto at = shared_->records.upper_bound(*after); at != shared_->records.end(); ++at) {
            auto const info = info_of(at->second);
            auto asked = request;
            if (is(flaw::list_ignores_the_state)) asked.state.reset();
            if (is(flaw::list_ignores_the_digits)) asked.digits.clear();
            bool const is_wanted = detail::is_asked_for(asked, at->first, info);
            bool const is_there = at->second.expiry > clock_() || is(flaw::lists_the_expired);
            if (is_wanted && is_there) page.records.push_back({at->first, info});
            if (--left > 0) continue;
            if (!is(flaw::list_ends_early)) page.next = to_hex(at->first.view());
            break;
        }
        return page;
    }

    bool forget(store_key const& key, error_code& ec) {
        ec.clear();
        return transact(key, [&](maybe_record& found) {
            bool const was_marked = is_marked(key) && !is(flaw::forgotten_keys_are_marked);
            if (was_marked) shared_->marks.erase(key);
            if (!found || (is(flaw::forgets_only_completed) && !found->bytes)) return was_marked;
            found.reset();
            return true;
        });
    }

private:
    [[nodiscard]] record_info info_of(stored_record const& record) const {
        bool const tells_parked = is_parked(record) && !is(flaw::peek_hides_parking);
        auto const open = tells_parked ? record_state::parked : record_state::in_flight;
        record_info info;
        info.state = record.bytes ? record_state::completed : open;
        info.attempt = record.attempt;
        info.lease_remaining = remaining(record.lease_end);
        info.expires_in = remaining(record.expiry);
        info.record_bytes = record.bytes.value_or("").size();
        info.steps_bytes = record.steps.size();
        info.reason = record.reason.value_or("");
        return info;
    }

    [[nodiscard]] bool is_parked(stored_record const& record) const {
        return record.reason && record.lease_end <= clock_() && !is(flaw::parker_holds_on);
    }

    void end_lease(stored_record& record) const {
        record.fencing_token = {};
        start_lease(record, milliseconds{0}, record.retention);
    }

    void start_lease(stored_record& record, milliseconds lease, milliseconds retention) const {
        record.lease_end =
            later(clock_(), is(flaw::no_lease_overflows) && lease == no_lease ? milliseconds{-1} : lease);
        record.retention = retention;
        record.expiry = later(is(flaw::life_without_lease) ? clock_() : record.lease_end, retention);
    }

    static milliseconds later(milliseconds start, milliseconds span) {
        span = std::max(span, milliseconds::zero());
        return span > milliseconds::max() - start ? milliseconds::max() : start + span;
    }

    [[nodiscard]] milliseconds remaining(milliseconds deadline) const {
        return deadline == milliseconds::max() ? deadline : deadline - clock_();
    }

    claim_result claim(maybe_record& found, claim_request const& request, error_code& ec) {
        if (!found && request.remember > milliseconds::zero() && is_marked(request.key)) return remembered{};
        if (!found) {
            bool const is_full = !has_room();
            if (is_full) ec = error::store_full;
            if (is_full && !is(flaw::refusal_writes)) return {};
            found = stored_record{request.fingerprint, request.fencing_token, {}};
            found->attempt = is(flaw::first_attempt_is_two) ? 2 : 1;
            found->remember = request.remember;
            start_lease(*found, request.lease, request.retention);
            return granted{found->attempt};
        }
        bool const is_over = found->lease_end <= clock_();
        bool const is_other = found->fingerprint != request.fingerprint;
        if (is_other && !is(flaw::state_before_fingerprint) && !(is(flaw::takeover_by_anyone) && is_over)) {
            return mismatch{};
        }
        bool const hides = is(flaw::marks_hide_records) && request.remember > milliseconds::zero();
        if (found->bytes && hides) return remembered{};
        if (found->bytes && !(is(flaw::takes_over_completed) && is_over)) return replay(*found);
        bool const is_unheld = found->reason && is_over;
        bool const is_retry =
            found->fencing_token == request.fencing_token && !is_unheld && !is(flaw::retry_is_a_rival);
        if (!is_retry && !is_over) return conflict(*found);
        if (is_unheld && !request.take_parked && !is(flaw::parked_is_taken_over)) {
            return parked{found->attempt, shared_bytes(*found->reason)};
        }
        bool const is_free = found->attempt == 0 && !is(flaw::steps_need_takeover);
        if (!is_retry && !request.take_over && !is_free && !is(flaw::always_takes_over)) {
            return expired{found->attempt};
        }
        if (!is_retry && is(flaw::asking_unparks)) found->reason.reset();
        if (!is_retry || (is_over && is(flaw::retry_counts_as_takeover))) ++found->attempt;
        if (is(flaw::attempt_not_counted)) found->attempt = 1;
        found->fencing_token = request.fencing_token;
        found->fingerprint = request.fingerprint;
        found->bytes.reset();
        found->remember = request.remember;
        start_lease(*found, request.lease, request.retention);
        bool const tells_steps = !found->steps.empty() && !is(flaw::steps_are_not_told);
        return granted{found->attempt, tells_steps ? shared_bytes(found->steps) : shared_bytes()};
    }

    complete_result complete(maybe_record& found, complete_request const& request, error_code& ec) {
        if (!found && is(flaw::complete_needs_a_record)) return in_flight{};
        if (!found && is(flaw::marks_stop_complete) && is_marked(request.key)) return in_flight{};
        if (found) {
            if (found->fingerprint != request.fingerprint) return mismatch{};
            bool const is_fenced_off = found->fencing_token != request.fencing_token && !is(flaw::unfenced_complete);
            if (found->bytes && is_fenced_off) return replay(*found);
            if (is_fenced_off || is_parked(*found)) return in_flight{};
            if (is(flaw::complete_needs_a_live_lease) && found->lease_end <= clock_()) return in_flight{};
            if (found->bytes && !is(flaw::overwrites)) return done{};
        }
        if ((!found || is(flaw::no_room_to_complete)) && !has_room()) {
            ec = error::store_full;
            return {};
        }
        auto const expiry = later(clock_(), request.retention);
        if (found) found->reason.reset();
        if (!found) found = stored_record{request.fingerprint, request.fencing_token, {}};
        found->bytes = std::string(request.record.view());
        found->remember = request.remember;
        if (is(flaw::cuts_at_nul)) found->bytes->resize(std::min(found->bytes->find('\0'), found->bytes->size()));
        if (!is(flaw::complete_keeps_the_expiry) || found->expiry == milliseconds::zero()) found->expiry = expiry;
        return done{};
    }

    static completed replay(stored_record const& record) { return {shared_bytes(std::string_view(*record.bytes))}; }

    [[nodiscard]] in_flight conflict(stored_record const& record) const {
        auto const lease = remaining(record.lease_end);
        if (is(flaw::waits_for_the_holder)) std::this_thread::sleep_for(std::min(lease, milliseconds(300)));
        return {is(flaw::remaining_lease_is_negative) ? -lease : lease};
    }

    [[nodiscard]] bool has_room() {
        auto& records = shared_->records;
        if (!is(flaw::expired_take_room)) {
            std::erase_if(records, [&](auto const& entry) {
                if (entry.second.expiry > clock_()) return false;
                leave_mark(entry.first, entry.second);
                return true;
            });
        }
        if (is(flaw::evicts) && records.size() >= max_records_) records.erase(records.begin());
        return records.size() < max_records_;
    }

    std::function<milliseconds()> clock_;
    flaw broken_;
    std::size_t max_records_;
    std::shared_ptr<shared> shared_;
};

}  // namespace idempo::tests
