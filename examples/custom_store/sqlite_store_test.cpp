// SPDX-License-Identifier: MIT
#include "custom_store/sqlite_store.hpp"

#include "custom_store/sqlite.hpp"

#include <idempo/stores/blocking.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include <unistd.h>

// How to test a custom store: a fixture makes the store and lets its time pass, and the suite does the rest. Properties
// of this store alone, such as its file, have tests of their own.

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

static_assert(idempo::renewable_store<sqlite_store>);
static_assert(idempo::checkpointing_store<sqlite_store> && idempo::parking_store<sqlite_store>);
static_assert(!idempo::nonblocking_store<sqlite_store>);

/// A clock that stands still until the test advances it.
class manual_clock {
public:
    void advance(milliseconds span) { *time_ += span.count(); }
    milliseconds operator()() const { return milliseconds(*time_); }

private:
    std::shared_ptr<std::atomic<milliseconds::rep>> time_ = std::make_shared<std::atomic<milliseconds::rep>>(0);
};

/// In memory if possible: on a disk, each of some thousand commits would wait.
class temporary_directory {
public:
    temporary_directory() {
        std::filesystem::path const memory = "/dev/shm";
        auto const parent = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
        path_ = (parent / "sqlite_store-XXXXXX").string();
        if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;
    ~temporary_directory() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string file(std::string const& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

//[sqlite-fixture
/// Two stores on one file, used in turns, like two processes.
class sqlite_fixture {
public:
    sqlite_store store() { return ++calls_ % 2 == 0 ? first_ : second_; }
    sqlite_store bounded_store(std::size_t records) {
        return sqlite_store(
            {.path = directory_.file("bounded"), .max_records = static_cast<std::int64_t>(records), .clock = clock_});
    }
    void advance(milliseconds span) { clock_.advance(span); }
    static milliseconds time_unit() { return 1s; }

private:
    temporary_directory directory_;
    manual_clock clock_;
    std::size_t calls_ = 0;
    sqlite_store first_{{.path = directory_.file("records"), .timeout = 1min, .clock = clock_}};
    sqlite_store second_{{.path = directory_.file("records"), .timeout = 1min, .clock = clock_}};
};
//]

/// The same store as an asynchronous server uses it, made synchronous again for the suite.
class offloaded_fixture {
public:
    auto store() { return idempo::blocking(offloaded_); }
    void advance(milliseconds span) { clock_.advance(span); }
    static milliseconds time_unit() { return 1s; }

private:
    temporary_directory directory_;
    manual_clock clock_;
    boost::asio::thread_pool pool_{2};
    idempo::offloaded_store<sqlite_store> offloaded_ =
        idempo::offload(sqlite_store({.path = directory_.file("records"), .timeout = 1min, .clock = clock_}),
                        pool_.get_executor(), {.timeout = 1min});
};

idempo::claim_request some_claim() {
    return {.key = {{1}}, .fingerprint = {{2}}, .fencing_token = {{3}}, .lease = 1min, .retention = 24h};
}

}  // namespace

//[sqlite-contract
TEST_CASE("sqlite_store: keeps the contract") {
    sqlite_fixture fixture;
    idempo::testing::store_contract(fixture);
}
//]

TEST_CASE("sqlite_store: keeps the contract when it is offloaded") {
    offloaded_fixture fixture;
    idempo::testing::store_contract(fixture);
}

TEST_CASE("sqlite_store: a record is there when the file is opened again") {
    temporary_directory const directory;
    auto const claim = some_claim();
    idempo::error_code error;
    {
        sqlite_store store({.path = directory.file("records")});
        REQUIRE(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
        auto const completed = store.complete(
            {claim.key, claim.fingerprint, claim.fencing_token, idempo::shared_bytes("an answer"), 24h}, error);
        REQUIRE(std::holds_alternative<idempo::done>(completed));
    }
    sqlite_store store({.path = directory.file("records")});
    auto const found = store.claim(claim, error);
    REQUIRE(std::holds_alternative<idempo::completed>(found));
    CHECK(std::get<idempo::completed>(found).record.view() == "an answer");
}

TEST_CASE("sqlite_store: a file that somebody keeps locked is told of when the time is up") {
    temporary_directory const directory;
    sqlite_store store({.path = directory.file("records"), .timeout = 20ms});
    idempo::error_code error;
    {
        sqlite_database other(directory.file("records").c_str());
        sqlite_transaction const locked(other, 1min);
        auto const refused = store.claim(some_claim(), error);
        CHECK(error == idempo::error::store_timed_out);
        CHECK_FALSE(std::holds_alternative<idempo::granted>(refused));
    }
    CHECK(std::holds_alternative<idempo::granted>(store.claim(some_claim(), error)));
    CHECK_FALSE(error);
}

TEST_CASE("sqlite_store: a file of another version, or of something else, is refused") {
    temporary_directory const directory;
    sqlite_database(directory.file("records").c_str()).execute("PRAGMA user_version = 3");
    CHECK_THROWS_AS(sqlite_store({.path = directory.file("records")}), std::runtime_error);
    CHECK_THROWS_AS(sqlite_store({.path = directory.file("no/such/directory")}), std::runtime_error);
}

TEST_CASE("sqlite_store: a file of the first version gets what it lacks") {
    temporary_directory const directory;
    sqlite_database(directory.file("records").c_str())
        .execute("CREATE TABLE record (key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, token BLOB NOT NULL,"
                 " attempt INTEGER NOT NULL, response BLOB, lease_ends INTEGER NOT NULL, expires INTEGER NOT NULL);"
                 "PRAGMA user_version = 1");
    sqlite_store store({.path = directory.file("records")});
    auto const claim = some_claim();
    idempo::error_code error;
    CHECK(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
    CHECK(store.save_step({claim.key, claim.fencing_token, 0, idempo::shared_bytes("a step")}, error));
}

TEST_CASE("sqlite_store: a damaged row is an error, and not a miss") {
    temporary_directory const directory;
    sqlite_store store({.path = directory.file("records")});
    idempo::error_code error;
    static_cast<void>(store.claim(some_claim(), error));
    sqlite_database(directory.file("records").c_str()).execute("UPDATE record SET fingerprint = x'00'");
    static_cast<void>(store.claim(some_claim(), error));
    CHECK(error == idempo::error::record_unreadable);
}
