// SPDX-License-Identifier: MIT
#pragma once

// A database of one process and no disk, for the transactional driver: it does what it is told to, and counts.

#include <idempo/error.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace idempo::tests {

/// What a handler does is one more row.
struct fake_rows {
    int pending = 0;
    void insert() { ++pending; }
};

enum class fake_end { committed, overtaken, refused, undone, in_doubt };

/// A deadlock.
struct fake_deadlock : std::runtime_error {
    fake_deadlock() : std::runtime_error("deadlock") {}
};

struct fake_database {
    struct entry {
        idempo::fingerprint fingerprint;
        shared_bytes record;
    };

    boost::asio::io_context context;
    bool has_threads = true;
    error_code begins_with{};
    /// How the next transaction ends that would have been committed.
    fake_end next_end = fake_end::committed;
    /// Called in the middle of a claim.
    std::function<void()> in_claim;

    error_code look_fails_with{};

    int looks = 0;
    int rows = 0;
    int rolled_back = 0;
    int reserved = 0;
    std::map<std::string, entry> records;

    [[nodiscard]] std::optional<claim_result> look(std::string const& key, idempo::fingerprint const& of) const {
        auto const found = records.find(key);
        if (found == records.end()) return std::nullopt;
        if (found->second.fingerprint != of) return mismatch{found->second.fingerprint};
        return completed{found->second.record};
    }
};

inline boost::asio::any_io_executor executor_of(fake_database const& database) {
    return const_cast<fake_database&>(database).context.get_executor();
}

inline bool submit(fake_database& database, std::function<void()> work) {
    if (database.has_threads) boost::asio::post(database.context, std::move(work));
    return database.has_threads;
}

class fake_reservation {
public:
    explicit fake_reservation(std::shared_ptr<fake_database> database) : database_(std::move(database)) {}
    fake_reservation(fake_reservation const&) = delete;
    fake_reservation& operator=(fake_reservation const&) = delete;
    ~fake_reservation() { release(); }

    std::optional<claim_result> take(claim_request const&) {
        ++database_->reserved;
        is_taken_ = true;
        return std::nullopt;
    }
    void release() noexcept {
        if (std::exchange(is_taken_, false)) --database_->reserved;
    }

private:
    std::shared_ptr<fake_database> database_;
    bool is_taken_ = false;
};

class fake_transaction {
public:
    struct ending {
        fake_end end = fake_end::undone;
        complete_result result{};
    };

    explicit fake_transaction(std::shared_ptr<fake_database> database) : database_(std::move(database)) {}

    void open(error_code& ec) {
        ec = database_->begins_with;
        is_open_ = !ec;
    }

    claim_result claim(claim_request const& request, error_code& ec) {
        if (database_->in_claim) database_->in_claim();
        open(ec);
        if (ec) return granted{};
        auto met = database_->look(std::string(request.key.view()), request.fingerprint);
        if (met) is_open_ = false;
        return met.value_or(granted{1});
    }

    std::optional<record_info> peek(store_key const& key, error_code& ec) {
        ++database_->looks;
        ec = database_->look_fails_with;
        if (ec) is_open_ = false;
        if (ec || database_->records.count(std::string(key.view())) == 0) return std::nullopt;
        return record_info{.state = record_state::completed};
    }

    fake_rows& rows() { return rows_; }

    ending complete(complete_request const& request, bool keeps_rows, std::function<void()> const& committing) {
        committing();
        auto const end = end_with(keeps_rows);
        if (end != fake_end::committed) return {end, in_flight{}};
        database_->records[std::string(request.key.view())] = {request.fingerprint, request.record};
        return {end, done{}};
    }

    fake_end commit() { return end_with(true); }

    [[nodiscard]] static std::exception_ptr refusal() {
        return std::make_exception_ptr(std::runtime_error("a deferred constraint"));
    }

    void roll_back() {
        if (!std::exchange(is_open_, false)) return;
        ++database_->rolled_back;
        rows_ = {};
    }

private:
    fake_end end_with(bool keeps_rows) {
        if (!std::exchange(is_open_, false)) throw std::logic_error("no transaction is open");
        auto const end = std::exchange(database_->next_end, fake_end::committed);
        if (end == fake_end::committed && keeps_rows) database_->rows += rows_.pending;
        rows_ = {};
        return end;
    }

    std::shared_ptr<fake_database> database_;
    fake_rows rows_;
    bool is_open_ = false;
};

struct fake_transactions {
    using pool = fake_database;
    using reservation = fake_reservation;
    using transaction = fake_transaction;
    using rows = fake_rows;

    static bool has_undone(std::exception_ptr const& thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (fake_deadlock const&) {
            return true;
        } catch (...) {
            return false;
        }
    }
};

/// As `idempo::transactional`.
class fake_transactional : public layer_base {
public:
    explicit fake_transactional(std::shared_ptr<fake_database> database, idempo::options options = {},
                                std::function<bool(unsigned)> commit_if = {})
        : database_(std::move(database)),
          options_(std::move(options)),
          commit_if_(std::move(commit_if)) {}

    template <class Handler>
    auto operator()(Handler handler) const {
        using state = detail::transactional_state<Handler, fake_transactions>;
        return transactional_middleware<Handler, fake_transactions>(
            std::make_shared<state>(std::move(handler), database_, commit_if_, options_));
    }

private:
    std::shared_ptr<fake_database> database_;
    idempo::options options_;
    std::function<bool(unsigned)> commit_if_;
};

}  // namespace idempo::tests
