#include "custom_store/sqlite_store.hpp"

#include "custom_store/sqlite.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace {

using std::chrono::milliseconds;

constexpr int schema_version = 1;

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

milliseconds system_time() {
    return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch());
}

template <class Identifier>
Identifier identifier_of(std::string_view bytes) {
    Identifier made;
    if (bytes.size() != made.bytes.size()) throw boost::system::system_error(idempo::error::record_unreadable);
    std::ranges::copy(bytes, made.bytes.begin());
    return made;
}

/// What SQLite says, in the words of a store.
idempo::error_code meaning_of(sqlite_error const& failure) {
    switch (failure.code) {
    case SQLITE_BUSY: return idempo::error::store_timed_out;
    case SQLITE_FULL: return idempo::error::store_full;
    default: return idempo::error::store_unavailable;
    }
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

/// The file, its connection, and who may use it now.
class sqlite_store::file {
public:
    explicit file(sqlite_store_options options) : options_(std::move(options)), database_(options_.path.c_str()) {
        if (!options_.clock) options_.clock = system_time;
        ::sqlite3_busy_timeout(database_.get(), static_cast<int>(options_.timeout.count()));
        database_.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
        sqlite_transaction transaction(database_);
        sqlite_statement version(database_, "PRAGMA user_version");
        auto const found = version.step() ? version.number(0) : 0;
        if (found != 0 && found != schema_version) throw std::runtime_error(options_.path + " is of another version");
        database_.execute(schema);
        transaction.commit();
    }

    //[sqlite-transact
    /// Calls `body(now)` while nobody else can read or write, and makes what it wrote durable. If anything fails
    /// nothing was written, and the result is empty.
    template <class Body>
    auto transact(idempo::error_code& ec, Body body) -> decltype(body(milliseconds())) {
        ec = {};
        auto const deadline = std::chrono::steady_clock::now() + options_.timeout;
        turn const mine(free_, deadline);
        if (!mine) {
            ec = idempo::error::store_timed_out;
            return {};
        }
        auto const rest = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        ::sqlite3_busy_timeout(database_.get(), std::max(1, static_cast<int>(rest.count())));
        try {
            sqlite_transaction transaction(database_);
            auto result = body(options_.clock());  // once it is our turn: to wait for it takes time
            transaction.commit();
            return result;
        } catch (sqlite_error const& failure) {
            ec = meaning_of(failure);
        } catch (boost::system::system_error const& failure) {
            ec = failure.code();
        } catch (std::exception const&) {  // no memory, say: a store does not throw
            ec = idempo::error::store_unavailable;
        }
        return {};
    }
    //]

    /// The unexpired record.
    std::optional<record> find(idempo::store_key const& key, milliseconds now) {
        sqlite_statement found(database_,
                               "SELECT fingerprint, token, attempt, response, lease_ends, expires"
                               " FROM record WHERE key = ? AND expires > ?",
                               key.view(), now.count());
        if (!found.step()) return std::nullopt;
        return record{identifier_of<idempo::fingerprint>(found.bytes(0)),
                      identifier_of<idempo::token>(found.bytes(1)),
                      static_cast<unsigned>(found.number(2)),
                      found.is_null(3) ? std::nullopt : std::optional(idempo::shared_bytes(found.bytes(3))),
                      milliseconds(found.number(4)),
                      milliseconds(found.number(5))};
    }

    void put(idempo::store_key const& key, record const& made) {
        constexpr std::string_view sql =
            "INSERT INTO record (fingerprint, token, attempt, lease_ends, expires, key, response)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET (fingerprint, token, attempt, lease_ends,"
            " expires, response) = (excluded.fingerprint, excluded.token, excluded.attempt, excluded.lease_ends,"
            " excluded.expires, excluded.response)";
        auto const put_with = [&](auto response) {
            sqlite_statement(database_, sql, made.fingerprint.view(), made.token.view(), std::int64_t{made.attempt},
                             made.lease_ends.count(), made.expires.count(), key.view(), response)
                .step();
        };
        made.response ? put_with(made.response->view()) : put_with(nullptr);
    }

    void remove_in_flight(idempo::store_key const& key, idempo::token const& by) {
        sqlite_statement(database_, "DELETE FROM record WHERE key = ? AND token = ? AND response IS NULL", key.view(),
                         by.view())
            .step();
    }

    //[sqlite-room
    /// For one more record: a few expired ones go, so that they get fewer; none of the others does.
    void make_room(milliseconds now) {
        sqlite_statement(database_,
                         "DELETE FROM record WHERE key IN (SELECT key FROM record WHERE expires <= ? LIMIT 4)",
                         now.count())
            .step();
        sqlite_statement room(database_, "SELECT taken FROM room");
        if (room.step() && room.number(0) >= options_.max_records) {
            throw boost::system::system_error(idempo::error::store_full);
        }
    }
    //]

private:
    /// This thread's turn; none where the deadline came first. A semaphore, for ThreadSanitizer does not know how GCC's
    /// timed_mutex waits.
    class turn {
    public:
        turn(std::binary_semaphore& free, std::chrono::steady_clock::time_point deadline)
            : free_(free),
              mine_(free.try_acquire_until(deadline)) {}
        turn(turn const&) = delete;
        turn& operator=(turn const&) = delete;
        ~turn() {
            if (mine_) free_.release();
        }
        explicit operator bool() const noexcept { return mine_; }

    private:
        std::binary_semaphore& free_;
        bool mine_;
    };

    sqlite_store_options options_;
    std::binary_semaphore free_{1};
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
    file_->transact(ec, [&](milliseconds) {
        file_->remove_in_flight(key, by);
        return true;
    });
}
//]

//[sqlite-renew
bool sqlite_store::renew(idempo::store_key const& key, idempo::token const& by, milliseconds lease,
                         idempo::error_code& ec) {
    return file_->transact(ec, [&](milliseconds now) {
        auto found = file_->find(key, now);
        if (!found || found->token != by || found->response) return false;
        auto const retention = found->expires - found->lease_ends;
        found->lease_ends = now + lease;
        found->expires = found->lease_ends + retention;
        file_->put(key, *found);
        return true;
    });
}
//]
