// SPDX-License-Identifier: MIT
#include "custom_store/sqlite_store.hpp"

#include "custom_store/sqlite.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace {

using std::chrono::milliseconds;

constexpr auto schema = R"(
    CREATE TABLE IF NOT EXISTS record (
        key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, token BLOB NOT NULL, attempt INTEGER NOT NULL,
        response BLOB, -- NULL while in flight
        lease_ends INTEGER NOT NULL, expires INTEGER NOT NULL, -- milliseconds since 1970
        steps BLOB NOT NULL DEFAULT x'', parked BLOB); -- parked: why, while the lease has ended
    CREATE INDEX IF NOT EXISTS record_expires ON record (expires);
    -- Counting rows would be a walk through all of them.
    CREATE TABLE IF NOT EXISTS room (taken INTEGER NOT NULL);
    INSERT INTO room SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM room);
    CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON record BEGIN UPDATE room SET taken = taken + 1; END;
    CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON record BEGIN UPDATE room SET taken = taken - 1; END;
    PRAGMA user_version = 2;)";

constexpr auto schema_from_1 = R"(
    ALTER TABLE record ADD COLUMN steps BLOB NOT NULL DEFAULT x'';
    ALTER TABLE record ADD COLUMN parked BLOB;)";

template <class Identifier>
Identifier identifier_of(std::string_view bytes) {
    Identifier made;
    if (bytes.size() != made.bytes.size()) throw boost::system::system_error(idempo::error::record_unreadable);
    std::ranges::copy(bytes, made.bytes.begin());
    return made;
}

//[sqlite-record
struct record {
    idempo::fingerprint fingerprint{};
    idempo::fencing_token fencing_token{};
    unsigned attempt = 1;
    std::optional<idempo::shared_bytes> response{};
    milliseconds lease_ends{};
    milliseconds expires{};
    idempo::shared_bytes steps{};
    std::optional<idempo::shared_bytes> parked{};  // why

    bool is_parked(milliseconds now) const { return parked && lease_ends <= now; }
    bool is_held_by(idempo::fencing_token const& other, milliseconds now) const {
        return !response && fencing_token == other && !is_parked(now);
    }
};
//]

}  // namespace

class sqlite_store::file {
public:
    explicit file(sqlite_store_options options) : options_(std::move(options)), database_(options_.path.c_str()) {
        ::sqlite3_busy_timeout(database_.get(), static_cast<int>(options_.timeout.count()));
        // Recursive, since otherwise a replaced row does not count as removed.
        database_.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA recursive_triggers = ON");
        sqlite_transaction transaction(database_, options_.timeout);
        if (run("SELECT 1 FROM pragma_user_version WHERE user_version NOT IN (0, 1, 2)")) {
            throw std::runtime_error(options_.path + " is of another version");
        }
        if (run("SELECT 1 FROM pragma_user_version WHERE user_version = 1")) database_.execute(schema_from_1);
        database_.execute(schema);
        transaction.commit();
    }

    //[sqlite-transact
    /// Calls `body(now)` while nobody else can read or write, and makes its writes durable. If anything fails,
    /// nothing is written, and the result is empty.
    template <class Body>
    auto transact(idempo::error_code& ec, Body body) -> decltype(body(milliseconds())) {
        ec = {};
        try {
            sqlite_transaction transaction(database_, options_.timeout);
            auto result = body(options_.clock());  // read here, after the wait for our turn
            transaction.commit();
            return result;
        } catch (boost::system::system_error const& failure) {
            ec = failure.code();
        } catch (std::exception const&) {  // no memory, for example: a store does not throw
            ec = idempo::error::store_unavailable;
        }
        return {};
    }
    //]

    /// Whether there is a row.
    template <class... Values>
    bool run(std::string_view sql, Values... values) {
        return sqlite_statement(database_, sql, values...).step();
    }

    /// The unexpired record.
    std::optional<record> find(idempo::store_key const& key, milliseconds now) {
        sqlite_statement found(database_, "SELECT * FROM record WHERE key = ? AND expires > ?", key.view(),
                               now.count());
        if (!found.step()) return std::nullopt;
        return record{identifier_of<idempo::fingerprint>(found.bytes(1)),
                      identifier_of<idempo::fencing_token>(found.bytes(2)),
                      static_cast<unsigned>(found.number(3)),
                      found.is_null(4) ? std::nullopt : std::optional(idempo::shared_bytes(found.bytes(4))),
                      milliseconds(found.number(5)),
                      milliseconds(found.number(6)),
                      idempo::shared_bytes(found.bytes(7)),
                      found.is_null(8) ? std::nullopt : std::optional(idempo::shared_bytes(found.bytes(8)))};
    }

    void put(idempo::store_key const& key, record const& made) {
        auto const bytes = [](auto const& maybe) { return maybe ? std::optional(maybe->view()) : std::nullopt; };
        run("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", key.view(), made.fingerprint.view(),
            made.fencing_token.view(), made.attempt, bytes(made.response), made.lease_ends.count(),
            made.expires.count(), made.steps.view(), bytes(made.parked));
    }

    void erase(idempo::store_key const& key) { run("DELETE FROM record WHERE key = ?", key.view()); }

    //[sqlite-room
    /// Makes room for one more record: deletes a few expired ones, and no others.
    void make_room(milliseconds now) {
        run("DELETE FROM record WHERE key IN (SELECT key FROM record WHERE expires <= ? LIMIT 4)", now.count());
        if (run("SELECT 1 FROM room WHERE taken >= ?", options_.max_records)) {
            throw boost::system::system_error(idempo::error::store_full);
        }
    }
    //]

private:
    sqlite_store_options options_;
    sqlite_database database_;
};

sqlite_store::sqlite_store(sqlite_store_options options) : file_(std::make_shared<file>(std::move(options))) {}

//[sqlite-claim
idempo::claim_result sqlite_store::claim(idempo::claim_request const& request, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) -> idempo::claim_result {
        auto const found = file_->find(request.key, now);
        if (found) {
            if (found->fingerprint != request.fingerprint) return idempo::mismatch{};
            if (found->response) return idempo::completed{*found->response};
            if (found->is_held_by(request.fencing_token, now)) return idempo::granted{found->attempt, found->steps};
            if (found->lease_ends > now) return idempo::in_flight{found->lease_ends - now};
            if (found->parked && !request.take_parked) return idempo::parked{found->attempt, *found->parked};
            if (found->attempt > 0 && !request.take_over) return idempo::expired{found->attempt};
        } else {
            file_->make_room(now);
        }
        auto made = found.value_or(record{.fingerprint = request.fingerprint, .attempt = 0});
        made.fencing_token = request.fencing_token;
        ++made.attempt;
        made.lease_ends = now + request.lease;
        made.expires = made.lease_ends + request.retention;
        file_->put(request.key, made);
        return idempo::granted{made.attempt, made.steps};
    });
}
//]

//[sqlite-complete
idempo::complete_result sqlite_store::complete(idempo::complete_request const& request, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) -> idempo::complete_result {
        auto const found = file_->find(request.key, now);
        if (found && found->fencing_token != request.fencing_token) {
            if (found->fingerprint != request.fingerprint) return idempo::mismatch{};
            if (found->response) return idempo::completed{*found->response};
            return idempo::in_flight{std::max(found->lease_ends - now, milliseconds(0))};
        }
        if (found && found->response) return idempo::done{};
        if (found && found->is_parked(now)) return idempo::in_flight{};
        if (!found) file_->make_room(now);
        auto const attempt = found ? found->attempt : 1;
        auto const expires = now + request.retention;
        file_->put(request.key,
                   {request.fingerprint, request.fencing_token, attempt, request.record, now, expires, {}, {}});
        return idempo::done{};
    });
}
//]

//[sqlite-abandon
void sqlite_store::abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& ec) {
    file_->transact(ec, [&](milliseconds now) {
        auto left = file_->find(key, now);
        if (!left || !left->is_held_by(by, now)) return true;
        // An earlier attempt, or a step, may have had its effect, and the next one must learn of it.
        --left->attempt;
        left->fencing_token = {};
        left->expires += now - left->lease_ends;
        left->lease_ends = now;
        bool const is_nothing = left->attempt == 0 && left->steps.empty();
        is_nothing ? file_->erase(key) : file_->put(key, *left);
        return true;
    });
}
//]

//[sqlite-renew
bool sqlite_store::renew(idempo::store_key const& key, idempo::fencing_token const& by, milliseconds lease,
                         idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto held = file_->find(key, now);
        if (!held || !held->is_held_by(by, now)) return false;
        held->expires += now + lease - held->lease_ends;
        held->lease_ends = now + lease;
        file_->put(key, *held);
        return true;
    });
}
//]

//[sqlite-save-step
bool sqlite_store::save_step(idempo::step_request const& step, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto held = file_->find(step.key, now);
        if (!held || !held->is_held_by(step.fencing_token, now)) return false;
        // A call that is repeated, or comes late, finds more than it asks for.
        if (held->steps.size() != step.offset) return held->steps.size() > step.offset;
        held->steps = idempo::shared_bytes(std::string(held->steps.view()).append(step.step.view()));
        file_->put(step.key, *held);
        return true;
    });
}
//]

//[sqlite-park
bool sqlite_store::park(idempo::park_request const& request, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto const found = file_->find(request.key, now);
        if (found && (found->response || found->fingerprint != request.fingerprint)) return false;
        if (found && found->fencing_token != request.fencing_token) return false;
        if (found && found->is_parked(now)) return true;
        if (!found) file_->make_room(now);
        auto made = found.value_or(record{.fingerprint = request.fingerprint, .fencing_token = request.fencing_token});
        made.parked = request.reason;
        made.lease_ends = now;
        made.expires = now + request.retention;
        file_->put(request.key, made);
        return true;
    });
}

bool sqlite_store::settle(idempo::settle_request const& request, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto found = file_->find(request.key, now);
        if (!found || found->response || found->attempt != request.attempt || found->lease_ends > now) return false;
        found->fencing_token = {};
        found->response = request.record;
        found->parked.reset();
        if (request.record) found->steps = {};
        if (!request.record) found->attempt = 0;
        found->expires = now + request.retention;
        bool const is_nothing = !request.record && found->steps.empty();
        is_nothing ? file_->erase(request.key) : file_->put(request.key, *found);
        return true;
    });
}
//]
