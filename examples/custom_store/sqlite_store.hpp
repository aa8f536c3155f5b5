#pragma once

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// What an SQLite store is told.
struct sqlite_store_options {
    /// Of the file, which is made where there is none. Its directory must exist.
    std::string path;
    /// How long an operation waits for other threads and processes; then it is `store_timed_out`.
    std::chrono::milliseconds timeout{std::chrono::seconds{2}};
    /// Records in the file, of whatever state.
    std::int64_t max_records = 1'000'000;
    /// Time since 1970.
    std::function<std::chrono::milliseconds()> clock = [] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch());
    };
};

/// A store of your own, to be read with docs/writing-a-store.md: records in an SQLite file, shared by the processes of
/// one machine, still there after a restart or a power failure.
///
/// Its calls block, for some milliseconds where the disk is slow: an asynchronous server needs `idempo::offload`.
//[sqlite-store
class sqlite_store {
public:
    /// \throws std::runtime_error where the file cannot be opened, or is not such a store's.
    explicit sqlite_store(sqlite_store_options options);

    [[nodiscard]] idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& ec);
    [[nodiscard]] idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& ec);
    void abandon(idempo::store_key const& key, idempo::token const& by, idempo::error_code& ec);
    [[nodiscard]] bool renew(idempo::store_key const& key, idempo::token const& by, std::chrono::milliseconds lease,
                             idempo::error_code& ec);

private:
    class file;
    std::shared_ptr<file> file_;  // a store is a handle: copies share the records
};
//]
