#pragma once

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

/// A store of your own: three operations on a map under a mutex. The contract is in idempo/store.hpp, and
/// idempo/testing/store_contract.hpp tests it. What a real one has and this one has not: a bound on what it remembers.
class map_store {
    using milliseconds = std::chrono::milliseconds;
    using steady_clock = std::chrono::steady_clock;

public:
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code&) {
        std::lock_guard const lock(shared_->mutex);
        auto const now = steady_clock::now();
        auto& found = unexpired_or_new(request.key, now);
        if (found.attempt > 0) {
            if (found.fingerprint != request.fingerprint) return idempo::mismatch{};
            if (found.response) return idempo::completed{*found.response};
            if (found.token == request.token) return idempo::granted{found.attempt};
            if (found.lease_ends > now) return idempo::in_flight{ceil<milliseconds>(found.lease_ends - now)};
            if (!request.take_over) return idempo::expired{found.attempt};
        }
        auto const lease_ends = now + request.lease;
        found = {request.fingerprint, request.token, found.attempt + 1, {}, lease_ends, lease_ends + request.retention};
        return idempo::granted{found.attempt};
    }

    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code&) {
        std::lock_guard const lock(shared_->mutex);
        auto const now = steady_clock::now();
        auto& found = unexpired_or_new(request.key, now);
        if (found.attempt > 0 && found.token != request.token) {
            if (found.fingerprint != request.fingerprint) return idempo::mismatch{};
            if (found.response) return idempo::completed{*found.response};
            return idempo::in_flight{ceil<milliseconds>(found.lease_ends - now)};
        }
        if (found.response) return idempo::done{};
        found = {request.fingerprint, request.token, 1, request.record, now, now + request.retention};
        return idempo::done{};
    }

    void abandon(idempo::store_key const& key, idempo::token const& by, idempo::error_code&) {
        std::lock_guard const lock(shared_->mutex);
        auto const found = shared_->records.find(key);
        bool const held = found != shared_->records.end() && found->second.token == by && !found->second.response;
        if (held) shared_->records.erase(found);
    }

private:
    struct record {
        idempo::fingerprint fingerprint;
        idempo::token token;
        unsigned attempt = 0;  // 0: nobody has claimed it
        std::optional<idempo::shared_bytes> response;
        steady_clock::time_point lease_ends;
        steady_clock::time_point expires;
    };
    struct shared {
        std::mutex mutex;
        std::map<idempo::store_key, record> records;
    };

    record& unexpired_or_new(idempo::store_key const& key, steady_clock::time_point now) {
        auto& found = shared_->records[key];
        if (found.expires <= now) found = {};
        return found;
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();  // a store is a handle: copies share the records
};

static_assert(idempo::store<map_store>);
