// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// The options of an SQLite store.
struct sqlite_store_options {
    /// The file; created if it is missing. Its directory must exist.
    std::string path;
    /// How long an operation waits for other threads and processes before it fails with `store_timed_out`.
    std::chrono::milliseconds timeout{std::chrono::seconds{2}};
    /// Limit of records in the file, in any state.
    std::int64_t max_records = 1'000'000;
    /// Time since 1970.
    std::function<std::chrono::milliseconds()> clock = [] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch());
    };
};

/// A custom store, explained in docs/writing-a-store.md: records in an SQLite file, shared by the processes of one
/// machine, which survive a restart or a power failure.
///
/// Its calls block, for some milliseconds on a slow disk: an asynchronous server needs `idempo::offload`.
//[sqlite-store
class sqlite_store {
public:
    /// \throws std::runtime_error if the file cannot be opened, or belongs to something else.
    explicit sqlite_store(sqlite_store_options options);

    [[nodiscard]] idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& ec);
    [[nodiscard]] idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& ec);
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& ec);
    [[nodiscard]] bool renew(idempo::store_key const& key, idempo::fencing_token const& by,
                             std::chrono::milliseconds lease, idempo::error_code& ec);
    [[nodiscard]] bool save_step(idempo::step_request const& step, idempo::error_code& ec);
    [[nodiscard]] bool park(idempo::park_request const& request, idempo::error_code& ec);
    [[nodiscard]] bool settle(idempo::settle_request const& request, idempo::error_code& ec);

private:
    class file;
    std::shared_ptr<file> file_;  // a store is a handle: copies share the records
};
//]
