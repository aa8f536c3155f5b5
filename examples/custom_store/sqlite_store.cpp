// SPDX-License-Identifier: MIT
#include "custom_store/sqlite_store.hpp"

#include "custom_store/sqlite.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace {

using std::chrono::milliseconds;

constexpr auto schema = R"(
    CREATE TABLE IF NOT EXISTS record (
        key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, token BLOB NOT NULL, attempt INTEGER NOT NULL,
        response BLOB, -- NULL while in flight
        lease_ends INTEGER NOT NULL, expires INTEGER NOT NULL); -- milliseconds since 1970
    CREATE INDEX IF NOT EXISTS record_expires ON record (expires);
    -- Counting rows would be a walk through all of them.
    CREATE TABLE IF NOT EXISTS room (taken INTEGER NOT NULL);
    INSERT INTO room SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM room);
    CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON record BEGIN UPDATE room SET taken = taken + 1; END;
    CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON record BEGIN UPDATE room SET taken = taken - 1; END;
    PRAGMA user_version = 1;)";

template <class Identifier>
Identifier identifier_of(std::string_view bytes) {
    Identifier made;
    if (bytes.size() != made.bytes.size()) throw boost::system::system_error(idempo::error::record_unreadable);
    std::ranges::copy(bytes, made.bytes.begin());
    return made;
}

//[sqlite-record
struct record {
    idempo::fingerprint fingerprint;
    idempo::token token;
    unsigned attempt = 1;
    std::optional<idempo::shared_bytes> response;
    milliseconds lease_ends;
    milliseconds expires;
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
        if (run("SELECT 1 FROM pragma_user_version WHERE user_version NOT IN (0, 1)")) {
            throw std::runtime_error(options_.path + " is of another version");
        }
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
                      identifier_of<idempo::token>(found.bytes(2)),
                      static_cast<unsigned>(found.number(3)),
                      found.is_null(4) ? std::nullopt : std::optional(idempo::shared_bytes(found.bytes(4))),
                      milliseconds(found.number(5)),
                      milliseconds(found.number(6))};
    }

    void put(idempo::store_key const& key, record const& made) {
        auto const response = made.response ? std::optional(made.response->view()) : std::nullopt;
        run("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", key.view(), made.fingerprint.view(),
            made.token.view(), made.attempt, response, made.lease_ends.count(), made.expires.count());
    }

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
            if (found->token == request.token) return idempo::granted{found->attempt};
            if (found->lease_ends > now) return idempo::in_flight{found->lease_ends - now};
            if (!request.take_over) return idempo::expired{found->attempt};
        } else {
            file_->make_room(now);
        }
        auto const attempt = found ? found->attempt + 1 : 1;
        auto const lease_ends = now + request.lease;
        auto const expires = lease_ends + request.retention;
        file_->put(request.key, {request.fingerprint, request.token, attempt, {}, lease_ends, expires});
        return idempo::granted{attempt};
    });
}
//]

//[sqlite-complete
idempo::complete_result sqlite_store::complete(idempo::complete_request const& request, idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) -> idempo::complete_result {
        auto const found = file_->find(request.key, now);
        if (found && found->token != request.token) {
            if (found->fingerprint != request.fingerprint) return idempo::mismatch{};
            if (found->response) return idempo::completed{*found->response};
            return idempo::in_flight{std::max(found->lease_ends - now, milliseconds(0))};
        }
        if (found && found->response) return idempo::done{};
        if (!found) file_->make_room(now);
        auto const attempt = found ? found->attempt : 1;
        auto const expires = now + request.retention;
        file_->put(request.key, {request.fingerprint, request.token, attempt, request.record, now, expires});
        return idempo::done{};
    });
}
//]

//[sqlite-abandon
void sqlite_store::abandon(idempo::store_key const& key, idempo::token const& by, idempo::error_code& ec) {
    file_->transact(ec, [&](milliseconds now) {
        // An earlier attempt may have had its effect, and the next one must learn of it.
        file_->run("UPDATE record SET token = zeroblob(16), attempt = attempt - 1,"
                   " lease_ends = ?, expires = ? + expires - lease_ends"
                   " WHERE key = ? AND token = ? AND response IS NULL AND attempt > 1",
                   now.count(), now.count(), key.view(), by.view());
        return file_->run("DELETE FROM record WHERE key = ? AND token = ? AND response IS NULL", key.view(), by.view());
    });
}
//]

//[sqlite-renew
bool sqlite_store::renew(idempo::store_key const& key, idempo::token const& by, milliseconds lease,
                         idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto const lease_ends = (now + lease).count();
        return file_->run("UPDATE record SET lease_ends = ?, expires = ? + expires - lease_ends"
                          " WHERE key = ? AND token = ? AND response IS NULL AND expires > ? RETURNING 1",
                          lease_ends, lease_ends, key.view(), by.view(), now.count());
    });
}
//]
