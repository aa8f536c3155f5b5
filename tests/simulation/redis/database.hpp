// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace idempo::simulation {

/// A command of Redis has failed; `what` is the text of its error reply.
struct redis_failure {
    std::string what;
};

/// What a Redis server keeps: values under keys, which expire by its clock. A copy is what a replica or a file has.
class redis_database {
public:
    using milliseconds = std::int64_t;
    using hash = std::map<std::string, std::string, std::less<>>;
    /// Nothing of ours: what a foreign program may put under a key.
    using list = std::vector<std::string>;

    /// The time of the commands that follow. It may go back.
    void set_time(milliseconds now) noexcept { now_ = now; }

    /// \throws redis_failure where the value is none
    [[nodiscard]] std::optional<std::string> get(std::string_view key);
    [[nodiscard]] std::optional<std::string> hget(std::string_view key, std::string_view field);
    [[nodiscard]] std::size_t hstrlen(std::string_view key, std::string_view field);
    [[nodiscard]] bool contains(std::string_view key) { return find(key) != nullptr; }
    /// -2 where there is no such key, -1 where it does not expire.
    [[nodiscard]] milliseconds pttl(std::string_view key);

    /// \param life absent: for ever. \throws redis_failure where it is not positive
    void set(std::string_view key, std::string value, std::optional<milliseconds> life = std::nullopt);
    void hset(std::string_view key, std::string_view field, std::string value);
    std::size_t rpush(std::string_view key, std::string value);
    /// Whether there was one.
    bool del(std::string_view key);
    /// A life of zero or less removes it. Whether there was one.
    bool pexpire(std::string_view key, milliseconds life);
    bool persist(std::string_view key);
    long long incr(std::string_view key);

private:
    struct entry {
        std::variant<std::string, hash, list> value;
        std::optional<milliseconds> expires_at;
    };

    entry* find(std::string_view key);
    hash* find_hash(std::string_view key);

    milliseconds now_ = 0;
    std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace idempo::simulation
