// SPDX-License-Identifier: MIT
#include "simulation/redis/server.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/take_operation.hpp>
#include <idempo/redis/protocol/reply_error.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace idempo::tests;
using namespace idempo;

namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr std::string_view prefix = "idempo:";

/// A clock in a file, which a server with `frozen_clock` reads.
class clock_file {
public:
    clock_file() {
        auto const file = ::mkstemp(path_.data());
        if (file < 0 || ::ftruncate(file, sizeof(time)) != 0) throw std::system_error(errno, std::generic_category());
        auto* const memory = ::mmap(nullptr, sizeof(time), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ::close(file);
        if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category());
        now_ = new (memory) time(1'700'000'000'000);
    }
    clock_file(clock_file const&) = delete;
    clock_file& operator=(clock_file const&) = delete;
    ~clock_file() {
        ::munmap(now_, sizeof(time));
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    [[nodiscard]] std::int64_t now() const { return *now_; }
    void advance(std::int64_t by) { *now_ += by; }

private:
    using time = std::atomic<std::int64_t>;

    std::string path_ = (std::filesystem::temp_directory_path() / "idempo-clock-XXXXXX").string();
    time* now_ = nullptr;
};

/// A reply as its bytes, and as what the client makes of them.
class answer {
public:
    explicit answer(std::string bytes) : bytes_(std::move(bytes)) {
        reader_.feed(bytes_);
        reply_ = reader_.next();
    }

    [[nodiscard]] bool is_complete() const { return reply_ != nullptr; }
    [[nodiscard]] redis::reply_view view() const { return redis::reply_view(reply_.get()); }

    /// Of two errors, what they mean to the client: a real server's text names the line of the script.
    [[nodiscard]] bool is_like(answer const& other) const {
        if (!view().is_error() || !other.view().is_error()) return bytes_ == other.bytes_;
        return redis::meaning_of(view().text()) == redis::meaning_of(other.view().text());
    }

    [[nodiscard]] std::string const& bytes() const noexcept { return bytes_; }

    /// In short, for counting.
    [[nodiscard]] std::string outcome() const {
        if (view().is_error()) return std::string(view().text().substr(0, view().text().find(' ')));
        if (view().is_array()) return std::string(view()[1].text());
        return view().is_nil() ? "nil" : "value";
    }

private:
    std::string bytes_;
    redis::reply_reader reader_;
    redis::reply reply_;
};

/// As it can be printed, and no more than fits on a screen.
std::string shown(std::string_view bytes) {
    std::string text;
    for (char const each : bytes.substr(0, 1000)) {
        bool const is_plain = each >= ' ' && each <= '~' && each != '\\';
        is_plain ? text.append(1, each) : text.append("\\x").append(to_hex({&each, 1}));
    }
    return text;
}

/// A real server and a simulated one have answered differently.
struct difference : std::runtime_error {
    using runtime_error::runtime_error;
};

/// A real server and a simulated one, whose clocks are the same, and which are asked the same.
class two_servers {
public:
    explicit two_servers(simulation::mutant bug = simulation::mutant::none) : bug_(bug) {
        // In the background Redis 8 deletes what ends in this very millisecond, and what commands still find.
        command({"DEBUG", "SET-ACTIVE-EXPIRE", "0"});
        socket_.connect({real_.unix_path()});
    }

    /// What both answer. \throws difference
    std::unique_ptr<answer> ask(std::string const& command) {
        asio::write(socket_, asio::buffer(command));
        auto real = std::make_unique<answer>("");
        for (std::string bytes; !real->is_complete(); real = std::make_unique<answer>(bytes)) {
            auto const size = socket_.read_some(asio::buffer(buffer_));
            bytes.append(buffer_.data(), size);
        }
        simulation::redis_command_reader reader;
        reader.feed(command);
        simulated_.set_time(clock_.now());
        std::string bytes;
        append(bytes, simulated_.execute(*reader.next()));
        answer const simulated(bytes);
        if (!real->is_like(simulated)) {
            throw difference("to " + shown(command) + " real: " + shown(real->bytes()) +
                             ", simulated: " + shown(simulated.bytes()));
        }
        return real;
    }

    std::unique_ptr<answer> ask(std::initializer_list<std::string_view> words) {
        std::string command;
        redis::append_command(command, words);
        return ask(command);
    }

    void advance(std::int64_t by) { clock_.advance(by); }

    /// \name States of a server
    /// @{
    void be_full(bool is) {
        simulated_.condition().is_full = is;
        command({"CONFIG", "SET", "maxmemory", is ? "1" : "0"});
    }
    void be_replica(bool is) {
        simulated_.condition().is_replica = is;
        is ? command({"REPLICAOF", "127.0.0.1", "1"}) : command({"REPLICAOF", "NO", "ONE"});
    }
    void refuse_writes(bool is) {
        simulated_.condition().refusal = is ? "NOREPLICAS Not enough good replicas to write." : "";
        command({"CONFIG", "SET", "min-replicas-to-write", is ? "1" : "0"});
    }
    void forget_scripts() {
        simulated_.forget_scripts();
        command({"SCRIPT", "FLUSH"});
    }
    /// @}

private:
    void command(std::initializer_list<std::string_view> words) { REQUIRE(real_.ask(words) == "OK"); }

    simulation::mutant bug_;
    clock_file clock_;
    redis_server real_{
        {"--enable-debug-command", "local"}, {}, {"LD_PRELOAD=" IDEMPO_FROZEN_CLOCK, "FROZEN_CLOCK=" + clock_.path()}};
    simulation::simulated_redis simulated_{{redis::scripts::claim().sha1, redis::scripts::claim().source}, bug_};
    asio::io_context context_;
    asio::local::stream_protocol::socket socket_{context_};
    std::array<char, std::size_t{1} << 18U> buffer_{};
};

/// Random operations of the client on a few keys, and what else may happen to them.
class random_operations {
public:
    random_operations(two_servers& servers, std::uint64_t seed) : servers_(servers), random_(seed) {}

    void step() {
        auto const roll = below(100);
        if (roll < 75) return operate();
        if (roll < 90) return pass_time();
        if (roll < 94) return disturb_value();
        change_state();
    }

    /// How often each operation got each answer.
    [[nodiscard]] std::map<std::pair<std::string, std::string>, int> const& met() const noexcept { return met_; }

private:
    using made = std::pair<std::string, std::unique_ptr<redis::operation>>;

    [[nodiscard]] std::uint64_t below(std::uint64_t end) { return random_() % end; }
    [[nodiscard]] bool in_100(unsigned share) { return below(100) < share; }
    [[nodiscard]] milliseconds some_span(int longest) {
        return milliseconds(below(static_cast<unsigned>(longest)) + 1);
    }

    template <class Id>
    [[nodiscard]] Id some(std::uint64_t count) {
        Id id;
        id.bytes.back() = static_cast<unsigned char>(below(count) + 1);
        return id;
    }
    [[nodiscard]] store_key some_key() { return some<store_key>(3); }
    /// Most of the time one of all that may know the key, so that it meets its record.
    [[nodiscard]] fencing_token some_token() { return some<fencing_token>(3); }
    [[nodiscard]] fingerprint some_fingerprint() { return some<fingerprint>(in_100(90) ? 1 : 2); }
    [[nodiscard]] milliseconds some_memory() { return in_100(40) ? some_span(3000) : milliseconds{0}; }

    [[nodiscard]] shared_bytes some_bytes() {
        auto const size = in_100(15) ? 70'000 : below(50);
        return shared_bytes(std::string(size, static_cast<char>('a' + below(26))));
    }

    [[nodiscard]] claim_request some_claim() {
        claim_request claim;
        claim.key = some_key();
        claim.fencing_token = some_token();
        claim.fingerprint = some_fingerprint();
        claim.lease = some_span(500);
        claim.retention = some_span(2000);
        claim.take_over = in_100(70);
        claim.take_parked = in_100(30);
        claim.remember = some_memory();
        return claim;
    }

    [[nodiscard]] complete_request some_complete() {
        complete_request complete;
        complete.key = some_key();
        complete.fencing_token = some_token();
        complete.fingerprint = some_fingerprint();
        complete.record = some_bytes();
        complete.retention = some_span(2000);
        complete.remember = some_memory();
        return complete;
    }

    [[nodiscard]] step_request some_step() {
        step_request step;
        step.key = some_key();
        step.fencing_token = some_token();
        step.offset = 5 * below(3);
        step.step = shared_bytes("step!");
        return step;
    }

    [[nodiscard]] park_request some_park() {
        park_request park;
        park.key = some_key();
        park.fencing_token = some_token();
        park.fingerprint = some_fingerprint();
        park.reason = shared_bytes("nobody knows");
        park.retention = some_span(2000);
        park.remember = some_memory();
        return park;
    }

    [[nodiscard]] settle_request some_settle() {
        settle_request settle;
        settle.key = some_key();
        settle.attempt = static_cast<unsigned>(below(3) + 1);
        if (in_100(50)) settle.record = some_bytes();
        settle.retention = some_span(2000);
        return settle;
    }

    [[nodiscard]] made some_operation() {
        auto const executor = context_.get_executor();
        auto const make = [&]<class Operation>(std::string name, std::in_place_type_t<Operation>, auto&&... arguments) {
            return made(std::move(name), std::make_unique<Operation>(arguments..., prefix, executor, [](auto&&...) {}));
        };
        auto const roll = below(100);
        if (roll < 30) return make("claim", std::in_place_type<redis::claim_operation>, some_claim());
        if (roll < 45) return make("complete", std::in_place_type<redis::complete_operation>, some_complete());
        if (roll < 53) return make("abandon", std::in_place_type<redis::abandon_operation>, some_key(), some_token());
        if (roll < 63)
            return make("renew", std::in_place_type<redis::renew_operation>, some_key(), some_token(), some_span(500));
        if (roll < 73) return make("save_step", std::in_place_type<redis::save_step_operation>, some_step());
        if (roll < 80) return make("park", std::in_place_type<redis::park_operation>, some_park());
        if (roll < 87) return make("settle", std::in_place_type<redis::settle_operation>, some_settle());
        if (roll < 91) return make("peek", std::in_place_type<redis::peek_operation>, some_key());
        if (roll < 92) return make("forget", std::in_place_type<redis::forget_operation>, some_key());
        rate const limit{.limit = 3, .window = some_span(1000)};
        return make("take", std::in_place_type<redis::take_operation>, some_key(), limit);
    }

    /// With the second and third steps that it wants.
    void operate() {
        auto const [name, operation] = some_operation();
        for (auto outcome = redis::reading::ask_again; outcome != redis::reading::answered &&
                                                       outcome != redis::reading::written &&
                                                       outcome != redis::reading::wrong_connection;) {
            bool const fetches = !operation->wanted_record().empty();
            if (fetches && in_100(30)) servers_.ask({"DEL", operation->server_key()});
            if (fetches && in_100(10)) servers_.forget_scripts();
            std::string command;
            operation->append_command(command, {.set_nx_get = in_100(50)});
            auto const said = servers_.ask(command);
            ++met_[{fetches ? "fetch" : name, said->outcome()}];
            outcome = operation->read(said->view());
        }
        compare_value(operation->server_key());
    }

    void compare_value(std::string const& key) {
        auto const mark = redis::mark_key(prefix, key);
        for (std::string_view const what : {"GET", "PTTL"}) {
            servers_.ask({what, key});
            servers_.ask({what, mark});
        }
    }

    /// Often to the very end of something, or one millisecond beside it.
    void pass_time() {
        if (in_100(50)) return servers_.advance(static_cast<std::int64_t>(below(300)));
        auto const left = servers_.ask({"PTTL", redis::redis_key(prefix, some_key())})->view().integer();
        if (left > 0) servers_.advance(left - 1 + static_cast<std::int64_t>(below(3)));
    }

    [[nodiscard]] std::string some_server_key() {
        auto const key = redis::redis_key(prefix, some_key());
        if (in_100(20)) return redis::mark_key(prefix, key);
        return in_100(30) ? redis::redis_key(std::string(prefix) + "rate:", some_key()) : key;
    }

    void disturb_value() {
        auto const key = some_server_key();
        switch (below(7)) {
        case 0: servers_.ask({"PERSIST", key}); return;
        case 1: servers_.ask({"SET", key, "junk", "PX", "300"}); return;
        case 2:
            servers_.ask({"DEL", key});
            servers_.ask({"RPUSH", key, "junk"});
            if (in_100(70)) servers_.ask({"PEXPIRE", key, "300"});
            return;
        case 3: servers_.ask({"HSET", key, "header", "junk"}); return;
        case 4: servers_.ask({"PEXPIRE", key, "50"}); return;
        case 5: damage(key); return;
        default: servers_.ask({"DEL", key}); return;
        }
    }

    void damage(std::string const& key) {
        auto const found = servers_.ask({"GET", key});
        if (!found->view().is_string() || found->view().text().empty()) return;
        std::string value(found->view().text());
        value[below(value.size())] ^= 1;
        servers_.ask({"SET", key, value, "PX", "300"});
    }

    /// Only for a few operations.
    void change_state() {
        auto const roll = below(4);
        if (roll == 0) return servers_.forget_scripts();
        auto const set = [&](bool is) {
            if (roll == 1) return servers_.be_full(is);
            roll == 2 ? servers_.be_replica(is) : servers_.refuse_writes(is);
        };
        set(true);
        for (auto i = below(20) + 1; i > 0; --i) in_100(20) ? pass_time() : operate();
        set(false);
    }

    two_servers& servers_;
    std::mt19937_64 random_;
    asio::io_context context_;
    std::map<std::pair<std::string, std::string>, int> met_;
};

/// All that each operation can be answered.
std::map<std::string, std::set<std::string>> const all_answers{
    {"claim",
     {"nil", "value", "granted", "in_flight", "mismatch", "completed", "large", "parked", "expired", "remembered",
      "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"fetch", {"found", "gone", "NOSCRIPT"}},
    {"complete",
     {"done", "mismatch", "completed", "in_flight", "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS",
      "WRONGTYPE"}},
    {"abandon", {"done", "unreadable", "NOSCRIPT", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"renew", {"held", "lost", "unreadable", "NOSCRIPT", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"save_step", {"held", "lost", "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"park", {"held", "lost", "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"settle", {"held", "lost", "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
    {"peek", {"absent", "found", "remembered", "unreadable", "NOSCRIPT", "WRONGTYPE"}},
    {"forget", {"value", "READONLY", "NOREPLICAS"}},
    {"take", {"taken", "used_up", "unreadable", "NOSCRIPT", "OOM", "READONLY", "NOREPLICAS", "WRONGTYPE"}},
};

bool have_met_all(random_operations const& operations) {
    return std::all_of(all_answers.begin(), all_answers.end(), [&](auto const& of) {
        auto const& [name, answers] = of;
        return std::all_of(answers.begin(), answers.end(), [&](auto const& each) {
            return operations.met().contains({name, each});
        });
    });
}

}  // namespace

TEST_CASE("simulated redis: random operations are answered as by a real server, byte for byte") {
    constexpr int least = 20'000;
    constexpr int most = 200'000;  // the rarest answer comes about once in 3,000
    auto const seed = std::random_device{}();
    two_servers servers;
    random_operations operations(servers, seed);
    for (int step = 0; step < least || (step < most && !have_met_all(operations)); ++step) {
        INFO("seed " << seed << ", step " << step);
        REQUIRE_NOTHROW(operations.step());
    }
    for (auto const& [name, answers] : all_answers) {
        for (auto const& each : answers) {
            INFO("seed " << seed << ": " << name << " was never answered " << each);
            CHECK(operations.met().contains({name, each}));
        }
    }
    for (auto const& [what, count] : operations.met()) {
        INFO("seed " << seed << ": " << what.first << " was answered " << what.second << ", " << count << " times");
        CHECK(all_answers.at(what.first).contains(what.second));
    }
}

TEST_CASE("simulated redis: each bug in a script shows beside a real server") {
    using simulation::mutant;
    constexpr int most = 20'000;
    auto const bug = GENERATE(
        mutant::redis_abandon_without_fence, mutant::redis_abandon_removes, mutant::redis_complete_without_fence,
        mutant::redis_renew_without_fence, mutant::redis_renew_does_nothing, mutant::redis_step_without_fence,
        mutant::redis_takeover_of_live_lease, mutant::redis_takeover_is_not_counted, mutant::redis_takeover_drops_steps,
        mutant::redis_claim_ignores_fingerprint, mutant::redis_park_stays_open, mutant::redis_forgets_used_keys,
        mutant::redis_mark_ends_early, mutant::redis_set_replaces, mutant::redis_script_is_not_atomic);
    auto const seed = std::random_device{}();
    two_servers servers(bug);
    random_operations operations(servers, seed);
    INFO("seed " << seed << ", " << simulation::name_of(bug));
    auto const run = [&] {
        for (int step = 0; step < most; ++step) operations.step();
    };
    CHECK_THROWS_AS(run(), difference);
}
