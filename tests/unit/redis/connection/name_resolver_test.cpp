// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/poll_until.hpp"
#include <idempo/redis/connection/name_resolver.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

using namespace idempo::redis;
using namespace idempo::tests;
using namespace std::chrono_literals;

namespace {

/// Name servers that a test speaks for. Shared with the threads that ask them.
class name_servers {
public:
    void answer(std::string const& host, ip_addresses found, idempo::error_code error = {}) {
        std::lock_guard const lock(mutex_);
        answers_[host] = {std::move(found), error};
        changed_.notify_all();
    }

    void fall_silent(std::string const& host) {
        std::lock_guard const lock(mutex_);
        answers_.erase(host);
    }

    /// Blocks while they are silent.
    ip_addresses ask(std::string const& host, idempo::error_code& error) {
        ++asked;
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return answers_.contains(host); });
        error = answers_[host].second;
        return answers_[host].first;
    }

    std::atomic<int> asked{0};

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::pair<ip_addresses, idempo::error_code>> answers_;
};

struct scene {
    scene() {
        names = std::make_shared<name_resolver>(
            [from = servers](std::string const& host, idempo::error_code& error) { return from->ask(host, error); });
    }
    scene(scene const&) = delete;
    scene& operator=(scene const&) = delete;
    // Lets go of the threads that still ask.
    ~scene() {
        for (auto const* host : {"a", "b"}) servers->answer(host, {});
    }

    /// What is found, or the error.
    std::pair<idempo::error_code, ip_addresses> find(std::string const& host,
                                                     std::chrono::milliseconds patience = 10s) {
        std::pair<idempo::error_code, ip_addresses> result{asio::error::operation_aborted, {}};
        auto const query =
            std::make_shared<name_query>(asio::make_strand(asio::any_io_executor(context.get_executor())), names);
        query->start(host, patience, [&](idempo::error_code error, ip_addresses const& found) {
            result = {error, found};
        });
        context.restart();
        context.run();
        return result;
    }

    std::shared_ptr<name_servers> servers = std::make_shared<name_servers>();
    std::shared_ptr<name_resolver> names;
    asio::io_context context;
};

auto const one = asio::ip::make_address("127.0.0.1");
auto const two = asio::ip::make_address("127.0.0.2");
auto const three = asio::ip::make_address("::1");

}  // namespace

TEST_CASE("redis name resolver: a name that nobody answers for delays no other") {
    scene all;
    CHECK(all.find("a", 1ms).first == asio::error::timed_out);
    all.servers->answer("b", {one, two});
    CHECK(all.find("b") == std::pair(idempo::error_code(), ip_addresses{one, two}));
}

TEST_CASE("redis name resolver: one lookup of a name is under way at a time") {
    scene all;
    for (int attempt = 0; attempt < 5; ++attempt) CHECK(all.find("a", 1ms).first == asio::error::timed_out);
    poll_until([&] { return all.servers->asked == 1; });
    all.servers->answer("a", {one});
    CHECK(all.find("a").second == ip_addresses{one});
    CHECK(all.servers->asked <= 2);
}

TEST_CASE("redis name resolver: while it takes too long, what was known has to do") {
    scene all;
    all.servers->answer("a", {one});
    CHECK(all.find("a").second == ip_addresses{one});
    all.servers->fall_silent("a");
    CHECK(all.find("a", 1ms) == std::pair(idempo::error_code(), ip_addresses{one}));
    all.servers->answer("a", {two});
    poll_until([&] { return all.find("a").second == ip_addresses{two}; });
    SECTION("and so it has when the name servers fail for the time being") {
        all.servers->answer("a", {}, asio::error::host_not_found_try_again);
        CHECK(all.find("a") == std::pair(idempo::error_code(), ip_addresses{two}));
    }
    SECTION("but not when the name is gone") {
        all.servers->answer("a", {}, asio::error::host_not_found);
        CHECK(all.find("a").first == asio::error::host_not_found);
    }
}

TEST_CASE("redis name resolver: addresses that failed come last, the one that failed first before the others") {
    scene all;
    all.servers->answer("a", {one, two, three});
    all.names->report_failure("a", one);
    CHECK(all.find("a").second == ip_addresses{two, three, one});
    all.names->report_failure("a", two);
    CHECK(all.find("a").second == ip_addresses{three, one, two});
    all.names->report_failure("a", three);
    CHECK(all.find("a").second == ip_addresses{one, two, three});
    all.names->report_failure("a", one);
    all.names->report_success("a", two);
    CHECK(all.find("a").second == ip_addresses{two, three, one});
}

TEST_CASE("redis name resolver: nothing waits for a lookup, neither its end nor that of the context") {
    auto const servers = std::make_shared<name_servers>();
    auto const witness = std::make_shared<int>(0);
    {
        auto const names = std::make_shared<name_resolver>(
            [servers](std::string const& host, idempo::error_code& error) { return servers->ask(host, error); });
        asio::io_context context;
        auto const query =
            std::make_shared<name_query>(asio::make_strand(asio::any_io_executor(context.get_executor())), names);
        query->start("a", 10s, [witness](idempo::error_code, ip_addresses const&) { FAIL("it is over"); });
        context.poll();
        poll_until([&] { return servers->asked == 1; });
    }
    CHECK(witness.use_count() == 1);
    servers->answer("a", {one});
    poll_until([&] { return servers.use_count() == 1; });
}
